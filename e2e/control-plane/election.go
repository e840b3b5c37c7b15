package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/client-go/tools/record"
)

// election is cert-manager's leader election, under the names of its own flags.
// It is off by default: the launcher starts one process.
type election struct {
	on                                        bool
	namespace                                 string
	leaseDuration, renewDeadline, retryPeriod time.Duration
}

// leaseName is cert-manager's.
const leaseName = "cert-manager-controller"

var errLeadershipLost = errors.New("leadership was lost")

func (e *election) register(flags *flag.FlagSet) {
	flags.BoolVar(&e.on, "leader-elect", false, "work only while holding the Lease "+leaseName)
	flags.StringVar(&e.namespace, "leader-election-namespace", "kube-system", "the Lease's namespace")
	flags.DurationVar(&e.leaseDuration, "leader-election-lease-duration", time.Minute, "how long others wait after the last renewal that they saw")
	flags.DurationVar(&e.renewDeadline, "leader-election-renew-deadline", 40*time.Second, "how long the leader tries to renew")
	flags.DurationVar(&e.retryPeriod, "leader-election-retry-period", 15*time.Second, "how long to wait between tries")
}

// lead stands for election with client-go's elector, on a client as cert-manager
// makes it, and returns once this process leads. Afterwards end is called if
// leadership is lost; when ctx is done, the Lease is released and the channel is
// closed.
func (e *election) lead(ctx context.Context, config *rest.Config, recorder record.EventRecorder, end context.CancelCauseFunc) (<-chan struct{}, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("a client for leader election: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, fmt.Errorf("a name for leader election: %w", err)
	}
	// Two may run on one machine.
	identity := fmt.Sprintf("%s-%d-external-cert-manager-controller", host, os.Getpid())
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, e.namespace, leaseName, client.CoreV1(), client.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: identity, EventRecorder: recorder})
	if err != nil {
		return nil, fmt.Errorf("a lock for leader election: %w", err)
	}
	leads, released := make(chan struct{}), make(chan struct{})
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   e.leaseDuration,
		RenewDeadline:   e.renewDeadline,
		RetryPeriod:     e.retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(leads) },
			OnStoppedLeading: func() {
				end(errLeadershipLost)
				close(released)
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("leader election: %w", err)
	}
	go elector.Run(ctx)
	select {
	case <-leads:
		return released, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
