package proxy_test

import (
	"os"
	"testing"

	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/forwarded"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/deploy"
	"github.com/vespo-dev/vespo/services/kinds/proxy"
	"github.com/vespo-dev/vespo/services/servicetest"
)

// TestMain fails if the tests leave a goroutine or a connection of a server, of a transport or of the proxy behind.
func TestMain(m *testing.M) { os.Exit(servicetest.Main(m)) }

// front is a server with proxies. A version that is replaced or removed is closed at once.
type front struct {
	*servicetest.Server
	kind *proxy.Kind
}

func newFront(t *testing.T, cfg proxy.Config) front {
	t.Helper()
	return newFrontBehind(t, cfg, nil)
}

// newFrontBehind returns a front behind trusted proxies.
func newFrontBehind(t *testing.T, cfg proxy.Config, trust *forwarded.Trust) front {
	t.Helper()
	s := servicetest.New(t, servicetest.Config{
		Router: router.Config{Trust: trust},
		Deploy: deploy.Config{RetireAfter: 1},
	})
	kind := proxy.New(cfg)
	return front{Server: s.Start(kind), kind: kind}
}

func spec(key string, d proxy.Document, options ...servicetest.Option) services.Spec {
	return servicetest.Spec(proxy.KindName, key, d, options...)
}

// bind deploys a proxy.
func (f front) bind(key string, d proxy.Document, options ...servicetest.Option) {
	f.Deploy(spec(key, d, options...))
}

// to deploys a proxy with default settings.
func (f front) to(key string, upstreams ...string) { f.bind(key, proxy.Document{Upstreams: upstreams}) }
