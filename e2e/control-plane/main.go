// Command control-plane is a Kubernetes control plane with cert-manager in one
// multi-call binary, for tests on a machine that has no cluster.
//
// Called as `control-plane up`, it launches each component as a separate
// process by running itself again under the component's name, so that a test
// can kill any one of them. Only this package knows Kubernetes' and
// cert-manager's code; the launcher in `launch` speaks to them as any client
// would, over flags, files and HTTPS, and therefore compiles in seconds.
package main

import (
	"fmt"
	"os"

	"external-issuer.io/e2e/control-plane/launch"
)

const usage = `control-plane: etcd, kube-apiserver, kube-controller-manager and cert-manager as local processes

  control-plane up --state-dir DIR [flags]           start everything and stay in the foreground
  control-plane status --state-dir DIR               what runs, as JSON
  control-plane kill --state-dir DIR COMPONENT       SIGKILL by default; see --signal
  control-plane stop --state-dir DIR COMPONENT       SIGTERM, then wait for its end
  control-plane start --state-dir DIR COMPONENT      start one that ended, and wait until it is ready
  control-plane restart --state-dir DIR COMPONENT    stop, then start
  control-plane version                              the versions that were built in

A COMPONENT is etcd, kube-apiserver, kube-controller-manager or cert-manager.
"control-plane COMPONENT FLAGS" is that component itself.
Flags of up: "control-plane up --help".
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]

	switch name {
	case launch.Etcd:
		runEtcd(args)
	case launch.APIServer:
		os.Exit(runAPIServer(args))
	case launch.ControllerManager:
		os.Exit(runControllerManager(args))
	case launch.CertManager:
		os.Exit(runCertManager(args))
	case "up":
		os.Exit(launch.Up(args, builtVersions()))
	case "status", "kill", "stop", "start", "restart":
		os.Exit(launch.Control(name, args))
	case "version":
		os.Exit(printVersions())
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "control-plane: there is no command %q\n\n%s", name, usage)
		os.Exit(2)
	}
}
