package launch

import (
	"fmt"
	"strings"
)

// The components, under the names they go by everywhere: as subcommands, in
// file names, in the JSON and on the control commands.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	CertManager       = "cert-manager"
)

// Components in the order in which they start. They stop in the opposite one:
// an API server whose etcd is gone hangs in its own shutdown.
var Components = []string{Etcd, APIServer, ControllerManager, CertManager}

// controllers is what a cluster without nodes needs: collecting garbage,
// emptying namespaces, and everything around ServiceAccounts and ClusterRoles.
var controllers = []string{
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"root-ca-certificate-publisher-controller",
	"clusterrole-aggregation-controller",
}

// arguments are a component's flags. Later flags win, so what the caller adds
// comes last.
func arguments(name string, dir stateDir, at ports, options Options) []string {
	flags := map[string]func(stateDir, ports, Options) []string{
		Etcd:              etcdArguments,
		APIServer:         apiServerArguments,
		ControllerManager: controllerManagerArguments,
		CertManager:       certManagerArguments,
	}[name](dir, at, options)
	return append(flags, options.Extra[name]...)
}

func etcdArguments(dir stateDir, at ports, _ Options) []string {
	client, peer := httpsURL(at.EtcdClient), httpsURL(at.EtcdPeer)
	return []string{
		"--name=control-plane",
		"--data-dir=" + dir.path("etcd"),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=control-plane=" + peer,
		"--client-cert-auth=true",
		"--trusted-ca-file=" + dir.pki(etcdCA+".crt"),
		"--cert-file=" + dir.pki(etcdServing+".crt"),
		"--key-file=" + dir.pki(etcdServing+".key"),
		"--peer-client-cert-auth=true",
		"--peer-trusted-ca-file=" + dir.pki(etcdCA+".crt"),
		"--peer-cert-file=" + dir.pki(etcdServing+".crt"),
		"--peer-key-file=" + dir.pki(etcdServing+".key"),
		// The machine's crash is not one of the faults under test, a process's
		// is, and that one loses nothing without fsync.
		"--unsafe-no-fsync=true",
		// One member has nobody to wait for before it elects itself.
		"--heartbeat-interval=20",
		"--election-timeout=200",
	}
}

func apiServerArguments(dir stateDir, at ports, options Options) []string {
	flags := []string{
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", at.APIServer),
		"--advertise-address=127.0.0.1",
		// There is no Service network, and loopback is not accepted in
		// Endpoints: nothing to reconcile.
		"--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=" + serviceRange,
		"--cert-dir=" + dir.path("components"),
		"--tls-cert-file=" + dir.pki(apiServerServing+".crt"),
		"--tls-private-key-file=" + dir.pki(apiServerServing+".key"),
		"--client-ca-file=" + dir.pki(clusterCA+".crt"),
		"--authorization-mode=RBAC",
		"--etcd-servers=" + httpsURL(at.EtcdClient),
		"--etcd-cafile=" + dir.pki(etcdCA+".crt"),
		"--etcd-certfile=" + dir.pki(apiServerEtcdClient+".crt"),
		"--etcd-keyfile=" + dir.pki(apiServerEtcdClient+".key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + dir.pki(serviceAccountKey),
		"--service-account-signing-key-file=" + dir.pki(serviceAccountKey),
		"--profiling=false",
		// Ask watches to end when the server is asked to; without it the
		// server waits for every client to go, for a minute.
		"--shutdown-watch-termination-grace-period=2s",
	}
	if options.Audit {
		flags = append(flags,
			"--audit-policy-file="+dir.auditPolicy(),
			"--audit-log-path="+dir.auditLog(),
			// The default, said aloud: a request is in the log before its
			// answer is out, so a test may read the log right after a call.
			"--audit-log-mode=blocking",
			// Never rotate away what a test wants to count.
			"--audit-log-maxsize=4096",
		)
	}
	return flags
}

func controllerManagerArguments(dir stateDir, at ports, _ Options) []string {
	return []string{
		"--kubeconfig=" + dir.kubeconfig(ControllerManager),
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", at.ControllerManager),
		"--tls-cert-file=" + dir.pki(controllerManagerClient+".crt"),
		"--tls-private-key-file=" + dir.pki(controllerManagerClient+".key"),
		"--controllers=" + strings.Join(controllers, ","),
		// Each controller under its own ServiceAccount, as kubeadm has it; the
		// controller manager's own role could not collect garbage.
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + dir.pki(serviceAccountKey),
		"--root-ca-file=" + dir.pki(clusterCA+".crt"),
		"--leader-elect=false",
		"--kube-api-qps=1000",
		"--kube-api-burst=1000",
		"--profiling=false",
	}
}

func certManagerArguments(dir stateDir, at ports, options Options) []string {
	return []string{
		"--kubeconfig=" + dir.kubeconfig(CertManager),
		"--healthz-listen-address=" + loopback(at.CertManager),
		"--cluster-resource-namespace=" + certManagerNamespace,
		"--certificate-request-minimum-backoff-duration=" + options.MinBackoff.String(),
		"--certificate-request-maximum-backoff-duration=" + options.MaxBackoff.String(),
		"-v=2",
	}
}
