package main

import (
	"context"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
)

const (
	resync     = 5 * time.Minute
	syncPeriod = 5 * time.Second // how soon the collector notices a new kind
	workers    = 5
)

// runControllers runs two controllers of kube-controller-manager, as it would: the one that empties
// a deleted namespace, and the one that follows owner references. It waits for the API server.
func runControllers(ctx context.Context, configPath string) {
	config, err := clientcmd.BuildConfigFromFlags("", configPath)
	check(err)
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	check(err)
	for !ready(ctx, client) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	if err := run(ctx, config, client); err != nil {
		fmt.Fprintln(os.Stderr, "kubeone: controllers:", err)
	}
}

func ready(ctx context.Context, client *kubernetes.Clientset) bool {
	_, err := client.RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
	return err == nil
}

func run(ctx context.Context, config *rest.Config, client *kubernetes.Clientset) error {
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery()))
	shared := informers.NewSharedInformerFactory(client, resync)
	metadataInformers := metadatainformer.NewSharedInformerFactory(objects, resync)
	started := make(chan struct{})
	collector, err := garbagecollector.NewGarbageCollector(
		ctx, client, objects, mapper, garbagecollector.DefaultIgnoredResources(),
		informerfactory.NewInformerFactory(shared, metadataInformers), started,
	)
	if err != nil {
		return err
	}
	namespaces := namespace.NewNamespaceController(
		ctx, client, objects, func() ([]*metav1.APIResourceList, error) { return preferred(client.Discovery()) },
		shared.Core().V1().Namespaces(), resync, v1.FinalizerKubernetes,
	)
	shared.Start(ctx.Done())
	metadataInformers.Start(ctx.Done())
	close(started)
	go namespaces.Run(ctx, workers)
	go collector.Sync(ctx, client.Discovery(), syncPeriod)
	collector.Run(ctx, workers, syncPeriod)
	return nil
}

func preferred(client discovery.DiscoveryInterface) ([]*metav1.APIResourceList, error) {
	return client.ServerPreferredNamespacedResources()
}
