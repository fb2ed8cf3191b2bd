import ch.qos.logback.classic.Level;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32;
import org.cloudsimplus.allocationpolicies.VmAllocationPolicyBestFit;
import org.cloudsimplus.brokers.DatacenterBroker;
import org.cloudsimplus.brokers.DatacenterBrokerSimple;
import org.cloudsimplus.core.CloudSimEntity;
import org.cloudsimplus.core.CloudSimPlus;
import org.cloudsimplus.core.events.SimEvent;
import org.cloudsimplus.datacenters.Datacenter;
import org.cloudsimplus.datacenters.DatacenterSimple;
import org.cloudsimplus.hosts.Host;
import org.cloudsimplus.hosts.HostSimple;
import org.cloudsimplus.resources.Pe;
import org.cloudsimplus.resources.PeSimple;
import org.cloudsimplus.util.Log;
import org.cloudsimplus.vms.Vm;
import org.cloudsimplus.vms.VmSimple;

/**
 * The churn in CloudSim Plus: java Churn WORKLOAD_FILE HOSTS
 *
 * The cheapest way we know: one entity asks the library's best-fit policy for a host at each
 * arrival and gives it back at each departure, without broker, cloudlets or logging.
 */
public final class Churn extends CloudSimEntity {
  private static final int ARRIVAL = 90001;
  private static final int DEPARTURE = 90002;
  private static final int RECORD_BYTES = 24;
  private static final int HOST_CORES = 48;
  private static final long HOST_MIB = 512L * 1024;

  private final ByteBuffer workload;
  private final int count;
  private final int[] rows;
  private final Datacenter datacenter;
  private final DatacenterBroker broker;
  private int next;

  private Churn(CloudSimPlus simulation, Datacenter datacenter, ByteBuffer workload) {
    super(simulation);
    this.workload = workload;
    this.datacenter = datacenter;
    this.broker = new DatacenterBrokerSimple(simulation);
    this.count = workload.limit() / RECORD_BYTES;
    this.rows = new int[count];
  }

  @Override
  protected void startInternal() {
    schedule(arrival(0), ARRIVAL);
  }

  @Override
  public void processEvent(SimEvent event) {
    if (event.getTag() == ARRIVAL) {
      arrive(next++);
      if (next < count) {
        schedule(arrival(next) - getSimulation().clock(), ARRIVAL);
      }
    } else if (event.getTag() == DEPARTURE) {
      datacenter.getVmAllocationPolicy().deallocateHostForVm((Vm) event.getData());
    }
  }

  private void arrive(int number) {
    int at = number * RECORD_BYTES;
    Vm vm = new VmSimple(number, 1000, workload.getInt(at + 16));
    vm.setRam(workload.getInt(at + 20)).setBw(1).setSize(1);
    vm.setBroker(broker);
    boolean placed = datacenter.getVmAllocationPolicy().allocateHostForVm(vm).fully();
    rows[number] = placed ? (int) vm.getHost().getId() : -1;
    if (placed) {
      schedule(workload.getDouble(at + 8), DEPARTURE, vm);
    }
  }

  private double arrival(int number) {
    return workload.getDouble(number * RECORD_BYTES);
  }

  /** So many hosts of 48 cores and 512 GiB; the workload of {@link Year} has the same. */
  static List<Host> hosts(int count) {
    List<Host> hosts = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      List<Pe> cores = new ArrayList<>(HOST_CORES);
      for (int core = 0; core < HOST_CORES; core++) {
        cores.add(new PeSimple(1000));
      }
      hosts.add(new HostSimple(HOST_MIB, 100_000_000L, 1_000_000_000L, cores));
    }
    return hosts;
  }

  private String result(double cpuS, double wallS) throws Exception {
    ByteBuffer placed = ByteBuffer.allocate(4 * count).order(ByteOrder.LITTLE_ENDIAN);
    int refused = 0;
    for (int row : rows) {
      placed.putInt(row);
      refused += row < 0 ? 1 : 0;
    }
    CRC32 crc = new CRC32();
    crc.update(placed.array());
    return String.format(
        "{\"cpu_s\": %.4f, \"wall_s\": %.4f, \"vms\": %d, \"refused\": %d, \"crc\": %d}",
        cpuS, wallS, count, refused, crc.getValue());
  }

  public static void main(String[] words) throws Exception {
    Log.setLevel(Level.OFF);
    ByteBuffer workload = ByteBuffer.wrap(Files.readAllBytes(Path.of(words[0])));
    workload.order(ByteOrder.LITTLE_ENDIAN);
    CloudSimPlus simulation = new CloudSimPlus();
    List<Host> hosts = hosts(Integer.parseInt(words[1]));
    Datacenter center = new DatacenterSimple(simulation, hosts, new VmAllocationPolicyBestFit());
    Churn churn = new Churn(simulation, center, workload);
    var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    long wall = System.nanoTime();
    long cpu = system.getProcessCpuTime();
    simulation.start();
    double cpuS = (system.getProcessCpuTime() - cpu) / 1e9;
    System.out.println(churn.result(cpuS, (System.nanoTime() - wall) / 1e9));
  }
}
