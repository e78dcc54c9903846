package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/patience"
	"github.com/vespo-dev/vespo/cmd/vespo/internal/stdio"
	"github.com/vespo-dev/vespo/internal/regular"
	"github.com/vespo-dev/vespo/services/egress/oci"
)

// registryTimeout is how long a registry may be silent.
const registryTimeout = time.Minute

// isReference reports whether a module is in a registry.
func isReference(s string) bool { return strings.HasPrefix(s, oci.Scheme) }

// registryClient returns a client of registries, with the credentials of docker's configuration: auths, credHelpers and
// credsStore.
func registryClient() (*oci.Client, error) {
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read docker's configuration: %w", err)
	}
	find := bounded(registryTimeout, credentials.Credential(store))
	base := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
	}
	return &oci.Client{
		HTTP:     &http.Client{Transport: &patience.Transport{Base: base, Silence: registryTimeout}},
		MaxBytes: flags.MaxModuleBytes,
		Credential: func(ctx context.Context, registry string) (oci.Credential, error) {
			found, err := find(ctx, registry)
			if err != nil {
				err = fmt.Errorf("docker's configuration has none for %s that can be read: %w", registry, err)
			}
			return oci.Credential{
				Username: found.Username,
				Password: found.Password,
				Refresh:  found.RefreshToken,
				Access:   found.AccessToken,
			}, err
		},
	}, nil
}

// bounded limits the time of find, which may run a helper program. A helper that hangs is killed, but what it has started may keep its
// output open, so find may go on for longer.
func bounded(d time.Duration, find auth.CredentialFunc) auth.CredentialFunc {
	return func(ctx context.Context, registry string) (auth.Credential, error) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		type result struct {
			found auth.Credential
			err   error
		}
		done := make(chan result, 1)
		go func() {
			found, err := find(ctx, registry)
			done <- result{found, err}
		}()
		select {
		case r := <-done:
			if r.err == nil || ctx.Err() == nil {
				return r.found, r.err
			}
		case <-ctx.Done():
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return auth.Credential{}, fmt.Errorf("the credential helper has not answered for %s", d)
		}
		return auth.Credential{}, ctx.Err()
	}
}

// pull replaces a module in a registry by its content. Without a message, the version gets the reference as one, with the
// digest.
func (c *AddCmd) pull(ctx context.Context, s stdio.Streams) error {
	ref, err := oci.ParseReference(c.Module)
	if err != nil {
		return err
	}
	client, err := registryClient()
	if err != nil {
		return err
	}
	module, resolved, err := client.Pull(ctx, ref)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "pulled %s\n", resolved)
	c.pulled = module
	if c.Message == "" {
		c.Message = resolved.String()
	}
	return nil
}

// PushCmd uploads a module to a registry.
type PushCmd struct {
	File      string `arg:"" help:"The module; - is the standard input."`
	Reference string `arg:"" help:"Where to push it, such as oci://registry.example.com/team/hello:1.2."`
}

// Run is called by kong.
func (c *PushCmd) Run(ctx context.Context, s stdio.Streams) error {
	ref, err := oci.ParseReference(c.Reference)
	if err != nil {
		return err
	}
	module, err := c.read(s)
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(module, []byte("\x00asm")) {
		return fmt.Errorf("%s is not a WebAssembly module", c.File)
	}
	client, err := registryClient()
	if err != nil {
		return err
	}
	pushed, err := client.Push(ctx, ref, module)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Out, "pushed %s\n", pushed)
	return err
}

func (c *PushCmd) read(s stdio.Streams) ([]byte, error) {
	from := io.NopCloser(s.In)
	if c.File != "-" {
		file, err := regular.OpenAny(c.File)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		from = file
	}
	all, _, err := readAll(from)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(all)
}
