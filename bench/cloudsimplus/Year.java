import ch.qos.logback.classic.Level;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Random;
import org.cloudsimplus.allocationpolicies.VmAllocationPolicy;
import org.cloudsimplus.allocationpolicies.VmAllocationPolicySimple;
import org.cloudsimplus.brokers.DatacenterBroker;
import org.cloudsimplus.brokers.DatacenterBrokerSimple;
import org.cloudsimplus.core.CloudSimEntity;
import org.cloudsimplus.core.CloudSimPlus;
import org.cloudsimplus.core.events.SimEvent;
import org.cloudsimplus.datacenters.DatacenterSimple;
import org.cloudsimplus.hosts.Host;
import org.cloudsimplus.hosts.HostSimple;
import org.cloudsimplus.util.Log;
import org.cloudsimplus.vms.Vm;
import org.cloudsimplus.vms.VmSimple;

/**
 * A year of host failures in CloudSim Plus: java Year VMS_FILE HOSTS REPLICATIONS
 *
 * The library can fail hosts, but not repair them, so one entity draws both and restarts VMs: it
 * asks the library's own policy (the host with the most free cores) for a host, without broker,
 * cloudlets or logging. VMs that fit nowhere wait, and are all tried at each repair. The first
 * replication warms the virtual machine of Java up and is not counted.
 */
public final class Year extends CloudSimEntity {
  private static final int BEGIN = 90001;
  private static final int FAIL = 90002;
  private static final int REPAIR = 90003;
  private static final int RESTART = 90004;
  private static final int END = 90005;
  private static final double YEAR_S = 8760 * 3600.0;
  private static final double MTBF_S = 2000 * 3600.0;
  private static final double MTTR_S = 24 * 3600.0;
  private static final double DETECTION_S = 120;
  private static final double BOOT_S = 60;
  private static final int RECORD_BYTES = 8;

  private final VmAllocationPolicy policy;
  private final DatacenterBroker broker;
  private final List<Host> hosts;
  private final ByteBuffer sizes;
  private final Random chance;
  private final double[] lostAt;
  private final Deque<Vm> waiting = new ArrayDeque<>();
  private int failures;
  private int restarts;
  private int unplaced;
  private double downtimeS;

  private Year(CloudSimPlus simulation, DatacenterSimple datacenter, List<Host> hosts,
      ByteBuffer sizes, long seed) {
    super(simulation);
    this.policy = datacenter.getVmAllocationPolicy();
    this.broker = new DatacenterBrokerSimple(simulation);
    this.broker.setShutdownWhenIdle(false);
    this.hosts = hosts;
    this.sizes = sizes;
    this.chance = new Random(seed);
    this.lostAt = new double[sizes.limit() / RECORD_BYTES];
  }

  @Override
  protected void startInternal() {
    schedule(0.0, BEGIN);
    schedule(YEAR_S, END);
  }

  @Override
  public void processEvent(SimEvent event) {
    switch (event.getTag()) {
      case BEGIN -> begin();
      case FAIL -> fail((Host) event.getData());
      case REPAIR -> repair((Host) event.getData());
      case RESTART -> restart((Vm) event.getData());
      default -> { }
    }
  }

  private void begin() {
    for (int number = 0; number < lostAt.length; number++) {
      Vm vm = new VmSimple(number, 1000, sizes.getInt(number * RECORD_BYTES));
      vm.setRam(sizes.getInt(number * RECORD_BYTES + 4)).setBw(1).setSize(1);
      vm.setBroker(broker);
      if (!policy.allocateHostForVm(vm).fully()) {
        throw new IllegalStateException("no host for a VM at the beginning");
      }
    }
    for (Host host : hosts) {
      within(drawn(MTBF_S), FAIL, host);
    }
  }

  private void fail(Host host) {
    failures++;
    List<Vm> lost = new ArrayList<>(host.getVmList());
    lost.sort(Comparator.comparingLong(Vm::getId));
    for (Vm vm : lost) {
      policy.deallocateHostForVm(vm);
      lostAt[(int) vm.getId()] = getSimulation().clock();
      within(DETECTION_S, RESTART, vm);
    }
    ((HostSimple) host).setFailed(true);
    within(drawn(MTTR_S), REPAIR, host);
  }

  private void repair(Host host) {
    ((HostSimple) host).setFailed(false);
    ((HostSimple) host).setActive(true);
    within(drawn(MTBF_S), FAIL, host);
    for (int left = waiting.size(); left > 0; left--) {
      Vm vm = waiting.remove();
      if (!isPlaced(vm)) {
        waiting.add(vm);
      }
    }
  }

  private void restart(Vm vm) {
    if (!isPlaced(vm)) {
      unplaced++;
      waiting.add(vm);
    }
  }

  private boolean isPlaced(Vm vm) {
    if (!policy.allocateHostForVm(vm).fully()) {
      return false;
    }
    restarts++;
    downtimeS += getSimulation().clock() + BOOT_S - lostAt[(int) vm.getId()];
    return true;
  }

  private void within(double delayS, int tag, Object data) {
    if (getSimulation().clock() + delayS < YEAR_S) {
      schedule(delayS, tag, data);
    }
  }

  private double drawn(double meanS) {
    return -meanS * Math.log(1 - chance.nextDouble());
  }

  private static Year replicate(int count, ByteBuffer sizes, long seed) {
    CloudSimPlus simulation = new CloudSimPlus(0.001);
    List<Host> hosts = Churn.hosts(count);
    var datacenter = new DatacenterSimple(simulation, hosts, new VmAllocationPolicySimple());
    Year year = new Year(simulation, datacenter, hosts, sizes, seed);
    simulation.start();
    return year;
  }

  public static void main(String[] words) throws Exception {
    Log.setLevel(Level.OFF);
    ByteBuffer sizes = ByteBuffer.wrap(Files.readAllBytes(Path.of(words[0])));
    sizes.order(ByteOrder.LITTLE_ENDIAN);
    int hosts = Integer.parseInt(words[1]);
    int replications = Integer.parseInt(words[2]);
    replicate(hosts, sizes, 0);
    var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long wall = System.nanoTime();
    long cpu = system.getProcessCpuTime();
    double[] sums = new double[4];
    for (int seed = 1; seed <= replications; seed++) {
      Year year = replicate(hosts, sizes, seed);
      double[] found = {year.failures, year.restarts, year.unplaced, year.downtimeS / 3600};
      for (int i = 0; i < sums.length; i++) {
        sums[i] += found[i] / replications;
      }
    }
    double cpuS = (system.getProcessCpuTime() - cpu) / 1e9;
    System.out.println(String.format(
        "{\"cpu_s\": %.4f, \"wall_s\": %.4f, \"ms_per_replication\": %.2f, \"failures\": %.2f, "
            + "\"restarts\": %.2f, \"unplaced\": %.2f, \"downtime_h\": %.2f}",
        cpuS, (System.nanoTime() - wall) / 1e9, 1e3 * cpuS / replications, sums[0], sums[1],
        sums[2], sums[3]));
  }
}
