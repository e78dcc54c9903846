package scheduler_test

import (
	"context"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/internal/durable"
	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/router"
	"github.com/vespo-dev/vespo/router/accesslog"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/control/scheduler"
	"github.com/vespo-dev/vespo/services/kinds/function"
	"github.com/vespo-dev/vespo/services/kinds/wasm"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
	"github.com/vespo-dev/vespo/testdata/guests"
)

func withCron(crons ...string) servicetest.Option {
	return func(s *services.Spec) {
		s.Manifest = schema.With(s.Manifest, map[string]any{schema.FieldCron: crons})
	}
}

// schedules returns the scheduler of a server. It is closed after the services.
func schedules(t *testing.T, s *servicetest.Server, functions ...string) *scheduler.Scheduler {
	t.Helper()
	own, err := scheduler.Open(scheduler.Config{
		Catalogue:  s.Registry,
		Dispatcher: s.Router,
		FS:         durable.Dir(t.TempDir()),
		Functions:  functions,
	})
	require.NoError(t, err)
	var running sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	running.Go(func() { own.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		s.Close()
		require.NoError(t, own.Close(context.Background()))
	})
	return own
}

func trigger(t *testing.T, own *scheduler.Scheduler, key, which string) scheduler.Answer {
	t.Helper()
	a, err := own.Trigger(t.Context(), routekey.MustParse(key), which)
	require.NoError(t, err)
	return a
}

func TestModulesHaveSchedules(t *testing.T) {
	s := servicetest.New(t, servicetest.Config{})
	kind, err := wasm.Open(t.Context(), wasm.Config{Slots: 4, SlotBytes: 16 << 20, CacheDir: guests.CodeCache(), Blob: s.Registry.Blob})
	require.NoError(t, err)
	fn := function.NewModules(function.New(function.Config{Timeout: time.Minute}), kind.Functions())
	s.Start(kind, fn)
	own := schedules(t, s, wasm.FunctionKindName)

	s.Deploy(servicetest.Module(wasm.KindName, "/hello Host: never", guests.Wat(t, "hello"), withCron("@yearly GET /x")))
	require.NoError(t, s.Deployment("/hello Host: never").Scale(t.Context(), services.EvictCode))
	require.Equal(t, services.StateEvicted, s.Status("/hello Host: never").State)
	a := trigger(t, own, "/hello Host: never", "")
	require.Equal(t, "hello from vespo\n", string(a.Body))
	require.Equal(t, services.StateReady, s.Status("/hello Host: never").State, "a run wakes a service")
	rec := s.Records.Nth(1)
	require.Equal(t, []any{"vespo:schedule", "/hello/x", "GET", 200, accesslog.OutcomeOK, a.RequestID}, []any{rec.Remote, rec.URI, rec.Method, rec.Status, rec.Outcome, rec.RequestID})

	s.Deploy(servicetest.Module(wasm.KindName, "/spin", guests.Wat(t, "spin"), withCron("@yearly GET /loop"), servicetest.WithTimeout(50*time.Millisecond)))
	a = trigger(t, own, "/spin", "")
	require.Equal(t, []any{scheduler.OutcomeFailed, 504}, []any{a.Outcome, a.Status}, "the limits are those of other requests")

	s.Deploy(servicetest.Module(wasm.FunctionKindName, "/fn", guests.Go(t, "gofunction"), withCron("@yearly", "@yearly GET /answer", "@daily GET /echo")))
	a = trigger(t, own, "/fn", "1")
	require.Contains(t, string(a.Body), `"detail-type":"Scheduled Event"`)
	require.Contains(t, string(a.Body), `"detail":{"cron":"@yearly"}`)
	require.Equal(t, 201, trigger(t, own, "/fn", "2").Status)
	a = trigger(t, own, "/fn", "3")
	require.Contains(t, string(a.Body), `"vespo-schedule":"@daily"`, "the event of a request has the fields of the server")
	require.Contains(t, string(a.Body), `"vespo-schedule-time":"`)
}

// TestRunsEndOnTheirVersion replaces and removes a service during a run.
func TestRunsEndOnTheirVersion(t *testing.T) {
	arrived, release := make(chan string), make(chan struct{})
	answer := func(text string) router.HandlerFunc {
		return func(w http.ResponseWriter, r *router.Request, _ *accesslog.Result) error {
			arrived <- text + " " + r.Header.Get("Vespo-Schedule")
			<-release
			_, err := io.WriteString(w, text)
			return err
		}
	}
	s := servicetest.New(t, servicetest.Config{}).Start(servicetest.Handlers{"one": answer("one"), "two": answer("two")})
	own := schedules(t, s)
	first := s.Deploy(servicetest.Handler("/a", "one", withCron("@yearly")))
	done := make(chan scheduler.Answer, 2)
	run := func() { done <- trigger(t, own, "/a", "") }
	go run()
	require.Equal(t, "one @yearly", <-arrived)
	s.Deploy(servicetest.Handler("/a", "two", withCron("@yearly", "@daily")))
	_, err := own.Trigger(t.Context(), routekey.MustParse("/a"), "1")
	require.ErrorContains(t, err, "is running already")
	release <- struct{}{}
	require.Equal(t, "one", string((<-done).Body))
	s.AwaitRetired("/a", first.Service.Current.Generation)

	status := own.Status(routekey.MustParse("/a"))
	require.Len(t, status, 2)
	require.Equal(t, scheduler.Counts{Runs: 1}, status[0].Counts, "the run of the version before counts")
	go func() {
		a, err := own.Trigger(t.Context(), routekey.MustParse("/a"), "2")
		if err == nil {
			done <- a
		}
	}()
	require.Equal(t, "two @daily", <-arrived)
	require.NoError(t, s.Remove(t.Context(), routekey.MustParse("/a")))
	require.Nil(t, own.Status(routekey.MustParse("/a")))
	release <- struct{}{}
	require.Equal(t, "two", string((<-done).Body), "nothing is cut off")
}

// TestSchedulesThatACatalogueHas checks that the catalogue's manifests are what counts.
func TestSchedulesThatACatalogueHas(t *testing.T) {
	s := servicetest.New(t, servicetest.Config{}).Start(servicetest.Handlers{"one": func(http.ResponseWriter, *router.Request, *accesslog.Result) error { return nil }})
	own := schedules(t, s)
	_, err := s.Add(t.Context(), servicetest.Handler("/a", "one", withCron("@yearly", "* * *")))
	require.ErrorContains(t, err, "it has 3 fields")
	require.Nil(t, own.Status(routekey.MustParse("/a")))
	s.Deploy(servicetest.Handler("/a", "one", withCron("@yearly")))
	s.Deploy(servicetest.Handler("/a", "one"))
	require.Nil(t, own.Status(routekey.MustParse("/a")))
	_, err = s.Rollback(t.Context(), routekey.MustParse("/a"))
	require.NoError(t, err)
	require.Len(t, own.Status(routekey.MustParse("/a")), 1)
	require.Equal(t, registry.Manifest(`{"cron":["@yearly"]}`), s.Registry.State().Services[routekey.MustParse("/a")].Current.Manifest)
}
