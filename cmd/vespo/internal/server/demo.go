package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/flags"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/testdata/guests/wat"
)

// oomMemory is the memory of the demo's oom service: too small for 1000 KiB besides its first page.
const oomMemory flags.Size = 1 << 20

// demo describes the demo for its user.
type demo struct {
	module string   // path of a module to upload
	kept   []string // prefixes taken by other services
}

// addDemo deploys the bundled services, except at taken prefixes:
// services of the user stay. It writes the module to upload into dir.
func addDemo(ctx context.Context, d *deploy.Deployer, cfg *Config, dir string) (*demo, error) {
	made := &demo{module: filepath.Join(dir, "hello.wasm")}
	if err := os.WriteFile(made.module, wat.Hello(), 0o644); err != nil {
		return nil, fmt.Errorf("write the demo's module: %w", err)
	}
	for _, spec := range []services.Spec{
		{Key: routekey.MustParse("/hello"), Blobs: services.Module(wat.Hello())},
		{Key: routekey.MustParse("/echo"), Blobs: services.Module(wat.Echo())},
		{
			Key:      routekey.MustParse("/oom"),
			Blobs:    services.Module(wat.OOM()),
			Manifest: wasm.Document{Memory: int64(min(oomMemory, cfg.Memory))}.Encode(),
		},
	} {
		spec.Kind = wasm.KindName
		taken, err := d.Inspect(spec.Key)
		switch {
		case err == nil:
			if !slices.Contains(taken.Service.Current.BlobsOf(schema.FieldModule), registry.DigestOf(spec.Blobs[0].Content)) {
				made.kept = append(made.kept, spec.Key.String())
			}
			continue
		case !errors.Is(err, registry.ErrNotFound):
			return nil, err
		}
		if _, err := d.Add(ctx, spec); err != nil {
			return nil, fmt.Errorf("add the demo's service %s: %w", spec.Key, err)
		}
	}
	return made, nil
}

// explain prints how to call the services, which base is the URL of, and how to add one.
func (m *demo) explain(w io.Writer, base string) {
	for _, prefix := range m.kept {
		fmt.Fprintf(w, "%s is another service already and was left alone\n", prefix)
	}
	fmt.Fprintf(w, `try:
  curl %[1]s/hello
  curl --data 'anything' %[1]s/echo
  curl %[1]s/oom/10      # 200: 10 KiB fit into the service's memory
  curl %[1]s/oom/1000    # 500: 1000 KiB do not, and only this request ends
  curl %[1]s/services
add a service:
  curl --data-binary @%[2]s -H 'Content-Type: application/wasm' '%[1]s/services/add?prefix=mine'
  curl %[1]s/mine
`, base, m.module)
}

// Reachable returns the address at which this machine reaches a listener.
func Reachable(addr net.Addr) string {
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return addr.String()
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
}
