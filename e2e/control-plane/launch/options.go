package launch

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options is what `control-plane up` was asked for.
type Options struct {
	StateDir         string
	CRDs             string
	MinBackoff       time.Duration
	MaxBackoff       time.Duration
	Audit            bool
	CertManager      bool
	ExitOnStdinClose bool
	StartTimeout     time.Duration
	// Extra flags per component.
	Extra map[string][]string
}

// Versions is what was built into the binary.
type Versions struct {
	Kubernetes  string `json:"version"`
	CertManager string `json:"certManagerVersion"`
	Etcd        string `json:"etcdVersion"`
}

func parseOptions(arguments []string) (Options, error) {
	options := Options{Extra: map[string][]string{}}
	flags := flag.NewFlagSet("control-plane up", flag.ContinueOnError)
	flags.StringVar(&options.StateDir, "state-dir", "", "directory for everything this control plane writes (required)")
	flags.StringVar(&options.CRDs, "crds", besideBinary("crds"), "directory of the CustomResourceDefinitions to apply")
	flags.DurationVar(&options.MinBackoff, "cert-manager-min-backoff", 2*time.Second, "cert-manager's wait after a first failed issuance (its own default: 1h)")
	flags.DurationVar(&options.MaxBackoff, "cert-manager-max-backoff", 10*time.Second, "cert-manager's longest wait after failed issuances (its own default: 32h)")
	flags.BoolVar(&options.Audit, "audit", true, "write audit.log")
	flags.BoolVar(&options.CertManager, "cert-manager", true, "start cert-manager; if false, its CRDs, identity and policies are there and \"control-plane start\" may start it later")
	flags.BoolVar(&options.ExitOnStdinClose, "exit-on-stdin-close", false, "stop when standard input ends, so that no test runner leaves a control plane behind")
	flags.DurationVar(&options.StartTimeout, "start-timeout", 2*time.Minute, "give up if it is not ready by then")
	flags.Func("arg", "a further flag for one component, as COMPONENT=FLAG, for example kube-apiserver=--goaway-chance=0.02; may be repeated", func(text string) error {
		component, extra, found := strings.Cut(text, "=")
		if !found || !strings.HasPrefix(extra, "-") {
			return errors.New("write it as COMPONENT=--flag=value")
		}
		if !slices.Contains(Components, component) {
			return errNoSuchComponent
		}
		options.Extra[component] = append(options.Extra[component], extra)
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	if flags.NArg() > 0 {
		return options, fmt.Errorf("up takes flags only, not %q", flags.Arg(0))
	}
	if options.StateDir == "" {
		return options, errors.New("--state-dir is required")
	}
	return options, nil
}

// besideBinary is where build.sh puts what the binary needs at run time.
func besideBinary(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(self), name)
}
