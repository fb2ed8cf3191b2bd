// Can a user type kubectl at something, without a container runtime?
//
// kubeone is etcd, kube-apiserver and two of kube-controller-manager's controllers in one process:
// namespaces are emptied when they are deleted, and owner references are followed. It listens on
// loopback only, signs its own certificates, and writes a kubeconfig per user into its data folder.
//
// usage: kubeone <data-dir> <port> [more kube-apiserver flags]
//
// It ends when its standard input ends, so that it never outlives the process that started it.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const etcdReadyTimeout = 60 * time.Second

func main() {
	if len(os.Args) < 3 {
		fail(fmt.Errorf("usage: kubeone <data-dir> <port> [more kube-apiserver flags]"))
	}
	dir, port := os.Args[1], os.Args[2]
	if _, err := strconv.Atoi(port); err != nil {
		fail(fmt.Errorf("%s is no port: %w", port, err))
	}
	files, err := prepare(dir, port)
	check(err)
	etcd, etcdURL, err := startEtcd(dir, files)
	check(err)
	go endWithParent()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go runControllers(ctx, files.adminConfig)
	server := app.NewAPIServerCommand()
	server.SetArgs(append(flags(port, etcdURL, files), os.Args[3:]...))
	code := cli.Run(server)
	etcd.Close()
	os.Exit(code)
}

// flags are the API server's: certificates verified both ways, RBAC, and no admission plugin that
// needs a controller which does not run here.
func flags(port, etcdURL string, files files) []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--etcd-cafile=" + files.ca.cert, "--etcd-certfile=" + files.etcdClient.cert,
		"--etcd-keyfile=" + files.etcdClient.key,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + port,
		"--endpoint-reconciler-type=none", "--cert-dir=" + filepath.Dir(files.server.cert),
		"--tls-cert-file=" + files.server.cert, "--tls-private-key-file=" + files.server.key,
		"--client-ca-file=" + files.ca.cert, "--anonymous-auth=false",
		"--authorization-mode=RBAC", "--profiling=false",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + files.accounts, "--service-account-signing-key-file=" + files.accounts,
		"--service-cluster-ip-range=10.0.0.0/24",
		"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
	}
}

// startEtcd runs a store of one member whose clients must show a certificate of our authority.
func startEtcd(dir string, files files) (*embed.Etcd, string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	client := url.URL{Scheme: "https", Host: listener.Addr().String()}
	listener.Close()
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	cfg.LogLevel = "error"
	// What a killed process wrote is safe in the kernel; only a crash of the machine loses it.
	cfg.UnsafeNoFsync = true
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "10m"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls = nil // there is no peer
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: files.server.cert, KeyFile: files.server.key,
		TrustedCAFile: files.ca.cert, ClientCertAuth: true,
	}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, "", err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, client.String(), nil
	case err := <-etcd.Err():
		return nil, "", err
	case <-time.After(etcdReadyTimeout):
		return nil, "", fmt.Errorf("etcd is not ready after %s", etcdReadyTimeout)
	}
}

// endWithParent ends the process at once when whoever started it is gone. What was acknowledged is
// in the store's log, as after any crash, so there is nothing to wait for.
func endWithParent() {
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func check(err error) {
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "kubeone:", err)
	os.Exit(1)
}
