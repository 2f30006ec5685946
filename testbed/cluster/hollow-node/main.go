// Command hollow-node is a real kubelet over a fake container runtime, as kubemark's: pods are
// scheduled to it, run, and end through their grace period, but no container exists.
//
// It differs from kubemark's own command in that it listens nowhere (kubemark's kubelet serves on
// 0.0.0.0), leaves the machine's firewall alone, and keeps its state in a folder of its own, so that
// many clusters run side by side.
package main

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	clientset "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	remote "k8s.io/cri-client/pkg"
	fakeremote "k8s.io/cri-client/pkg/fake"
	"k8s.io/klog/v2"
	cadvisortest "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubemark"
)

const runtimeTimeout = 15 * time.Second

func main() {
	klog.InitFlags(nil)
	name := flag.String("name", "", "name of the node")
	kubeconfig := flag.String("kubeconfig", "", "path of the node's kubeconfig")
	dir := flag.String("dir", "", "folder for the kubelet's state and the fake runtime's socket")
	flag.Parse()
	if err := run(context.Background(), *name, *kubeconfig, *dir); err != nil {
		klog.ErrorS(err, "The hollow node ended", "node", *name)
		os.Exit(1)
	}
}

func run(ctx context.Context, name, kubeconfig, dir string) error {
	flags, config := kubemark.GetHollowKubeletConfig(&kubemark.HollowKubeletOptions{NodeName: name, MaxPods: 110})
	config.EnableServer = false
	// Nor does a kubelet without containers have any business in the machine's own firewall, where it runs as root.
	config.MakeIPTablesUtilChains = false
	// The folder that it made is in /tmp, where nobody would remove it.
	if err := os.RemoveAll(flags.RootDirectory); err != nil {
		return err
	}
	flags.RootDirectory = filepath.Join(dir, "kubelet")
	config.StaticPodPath = filepath.Join(dir, "static-pods")
	config.PodLogsDir = filepath.Join(dir, "pod-logs")
	if err := os.MkdirAll(config.StaticPodPath, 0o700); err != nil {
		return err
	}

	clientConfig, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := clientset.NewForConfig(clientConfig)
	if err != nil {
		return err
	}
	heartbeatConfig := *clientConfig
	heartbeatConfig.Timeout = config.NodeStatusUpdateFrequency.Duration
	heartbeatConfig.QPS = -1
	heartbeat, err := clientset.NewForConfig(&heartbeatConfig)
	if err != nil {
		return err
	}

	endpoint := "unix://" + filepath.Join(dir, "cri.sock")
	fake := fakeremote.NewFakeRemoteRuntime()
	if err := fake.Start(endpoint); err != nil {
		return err
	}
	defer fake.Stop()
	logger := klog.Background()
	runtime, err := remote.NewRemoteRuntimeService(endpoint, runtimeTimeout, noop.NewTracerProvider(), &logger)
	if err != nil {
		return err
	}

	kubemark.NewHollowKubelet(flags, config, client, heartbeat, &cadvisortest.Fake{NodeName: name},
		fake.ImageService, runtime, cm.NewStubContainerManager()).Run(ctx)
	return nil
}
