// Can a user type kubectl at something, without a container runtime?
//
// kubeone is etcd, kube-apiserver and two of kube-controller-manager's controllers in one process:
// namespaces are emptied when they are deleted, and owner references are followed. Certificates and
// the controllers' kubeconfig lie in the data folder; whoever starts kubeone has put them there.
//
// usage: kubeone <data-dir> <etcd-url> <kube-apiserver flags>
//
// It ends when its standard input ends, so that it never outlives the process that started it.
package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
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
		fail(fmt.Errorf("usage: kubeone <data-dir> <etcd-url> <kube-apiserver flags>"))
	}
	dir := os.Args[1]
	etcd, err := startEtcd(dir, os.Args[2])
	check(err)
	go endWithParent()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	go runControllers(ctx, filepath.Join(dir, "kubeconfig"))
	server := app.NewAPIServerCommand()
	server.SetArgs(os.Args[3:])
	code := cli.Run(server)
	etcd.Close()
	os.Exit(code)
}

// startEtcd runs a store of one member whose clients must show a certificate of our authority.
func startEtcd(dir, clients string) (*embed.Etcd, error) {
	client, err := url.Parse(clients)
	if err != nil {
		return nil, err
	}
	pki := filepath.Join(dir, "pki")
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(dir, "etcd")
	cfg.LogLevel = "error"
	// What a killed process wrote is safe in the kernel; only a crash of the machine loses it.
	cfg.UnsafeNoFsync = true
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "10m"
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{*client}, []url.URL{*client}
	cfg.ListenPeerUrls = nil // there is no peer
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.ClientTLSInfo = transport.TLSInfo{
		CertFile: filepath.Join(pki, "server.crt"), KeyFile: filepath.Join(pki, "server.key"),
		TrustedCAFile: filepath.Join(pki, "ca.crt"), ClientCertAuth: true,
	}
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(etcdReadyTimeout):
		return nil, fmt.Errorf("etcd is not ready after %s", etcdReadyTimeout)
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
