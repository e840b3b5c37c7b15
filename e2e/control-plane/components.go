package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo" // client metrics, as the real commands have
	_ "k8s.io/component-base/metrics/prometheus/version"  // the build_info metric
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"

	"external-issuer.io/e2e/control-plane/launch"
)

// runEtcd never returns: etcd ends the process itself, also on SIGTERM.
func runEtcd(args []string) {
	etcdmain.Main(append([]string{launch.Etcd}, args...))
}

func runAPIServer(args []string) int {
	command := apiserver.NewAPIServerCommand()
	command.SetArgs(args)
	return cli.Run(command)
}

func runControllerManager(args []string) int {
	command := controllermanager.NewControllerManagerCommand()
	command.SetArgs(args)
	return cli.Run(command)
}

// builtVersions reads the versions that go.mod pinned out of the binary, so
// that no second place has to be kept in step.
func builtVersions() launch.Versions {
	versions := launch.Versions{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, module := range info.Deps {
		switch module.Path {
		case "k8s.io/kubernetes":
			versions.Kubernetes = module.Version
		case "github.com/cert-manager/cert-manager":
			versions.CertManager = module.Version
		case "go.etcd.io/etcd/server/v3":
			versions.Etcd = module.Version
		}
	}
	return versions
}

func printVersions() int {
	if err := json.NewEncoder(os.Stdout).Encode(builtVersions()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
