package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cert-manager/cert-manager/pkg/controller"
	"github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/approver"
	certificaterequestsca "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/ca"
	certificaterequestsselfsigned "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/selfsigned"
	certificaterequestsvault "github.com/cert-manager/cert-manager/pkg/controller/certificaterequests/vault"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/issuing"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/keymanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/readiness"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/requestmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/revisionmanager"
	"github.com/cert-manager/cert-manager/pkg/controller/certificates/trigger"
	"github.com/cert-manager/cert-manager/pkg/controller/clusterissuers"
	"github.com/cert-manager/cert-manager/pkg/controller/issuers"
	_ "github.com/cert-manager/cert-manager/pkg/issuer/ca"         // registers the issuer type
	_ "github.com/cert-manager/cert-manager/pkg/issuer/selfsigned" // registers the issuer type
	_ "github.com/cert-manager/cert-manager/pkg/issuer/vault"      // registers the issuer type
	"github.com/cert-manager/cert-manager/pkg/logs"
	"k8s.io/klog/v2"
)

// workersPerController is cert-manager's own default.
const workersPerController = 5

// certManagerControllers are those that cert-manager's controller would run by
// default, without ACME, Venafi, the ingress shim and the metrics.
var certManagerControllers = []string{
	approver.ControllerName,
	certificaterequestsca.CRControllerName,
	certificaterequestsselfsigned.CRControllerName,
	certificaterequestsvault.CRControllerName,
	clusterissuers.ControllerName,
	issuers.ControllerName,
	issuing.ControllerName,
	keymanager.ControllerName,
	readiness.ControllerName,
	requestmanager.ControllerName,
	revisionmanager.ControllerName,
	trigger.ControllerName,
}

// runCertManager is cert-manager's controller. Its leader election is off unless
// a flag says so: the launcher starts one process.
func runCertManager(args []string) int {
	flags := flag.NewFlagSet("cert-manager", flag.ContinueOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig with cert-manager's own identity")
	minBackoff := flags.Duration("certificate-request-minimum-backoff-duration", time.Hour, "wait after the first failed issuance; doubles with each further one")
	maxBackoff := flags.Duration("certificate-request-maximum-backoff-duration", 32*time.Hour, "the longest wait after a failed issuance")
	ownerRef := flags.Bool("enable-certificate-owner-ref", false, "make the Certificate the owner of its Secret")
	resources := flags.String("cluster-resource-namespace", "cert-manager", "where ClusterIssuers have their Secrets")
	health := flags.String("healthz-listen-address", "127.0.0.1:0", "answers /livez, and /readyz once every cache is filled")
	var election election
	election.register(flags)
	klog.InitFlags(flags)
	if err := flags.Parse(args); err != nil {
		return 2
	}
	logs.InitLogs()
	defer logs.FlushLogs()

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ctx = klog.NewContext(ctx, logs.Log)

	options := controller.ContextOptions{
		Kubeconfig: *kubeconfig,
		IssuerOptions: controller.IssuerOptions{
			ClusterResourceNamespace: *resources,
		},
		CertificateOptions: controller.CertificateOptions{
			EnableOwnerRef:                           *ownerRef,
			CopiedAnnotationPrefixes:                 []string{"*", "-kubectl.kubernetes.io/", "-fluxcd.io/", "-argocd.argoproj.io/"},
			CertificateRequestMinimumBackoffDuration: *minBackoff,
			CertificateRequestMaximumBackoffDuration: *maxBackoff,
		},
		// Only used against an API server without priority and fairness.
		KubernetesAPIQPS:   1000,
		KubernetesAPIBurst: 1000,
	}
	if err := serveCertManager(ctx, options, *health, election); err != nil {
		klog.ErrorS(err, "cert-manager ended")
		return 1
	}
	return 0
}

func serveCertManager(ctx context.Context, options controller.ContextOptions, health string, election election) error {
	factory, err := controller.NewContextFactory(ctx, options)
	if err != nil {
		return fmt.Errorf("connecting to the API server: %w", err)
	}

	loops := map[string]controller.Interface{}
	for _, name := range certManagerControllers {
		construct, known := controller.Known()[name]
		if !known {
			return fmt.Errorf("controller %s is not in this version of cert-manager", name)
		}
		if loops[name], err = construct(factory); err != nil {
			return fmt.Errorf("building controller %s: %w", name, err)
		}
	}

	var filled atomic.Bool
	if err := serveHealth(ctx, health, &filled); err != nil {
		return err
	}

	shared, err := factory.Build()
	if err != nil {
		return fmt.Errorf("building the shared caches: %w", err)
	}
	if election.on {
		working, end := context.WithCancelCause(ctx)
		released, err := election.lead(ctx, shared.RESTConfig, shared.Recorder, end)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		defer func() { <-released }()
		ctx = working
	}
	shared.SharedInformerFactory.Start(ctx.Done())
	shared.KubeSharedInformerFactory.Start(ctx.Done())
	shared.HTTP01ResourceMetadataInformersFactory.Start(ctx.Done())

	var running sync.WaitGroup
	for name, loop := range loops {
		running.Go(func() {
			if err := loop.Run(workersPerController, ctx); err != nil {
				klog.ErrorS(err, "controller ended", "controller", name)
			}
		})
	}

	shared.SharedInformerFactory.WaitForCacheSync(ctx.Done())
	shared.KubeSharedInformerFactory.WaitForCacheSync(ctx.Done())
	filled.Store(ctx.Err() == nil)

	running.Wait()
	if errors.Is(context.Cause(ctx), errLeadershipLost) {
		return errLeadershipLost
	}
	return nil
}

func serveHealth(ctx context.Context, address string, filled *atomic.Bool) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listening for health checks: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !filled.Load() {
			http.Error(w, "the caches are not filled yet", http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "health checks:", err)
		}
	}()
	context.AfterFunc(ctx, func() { server.Close() })
	return nil
}
