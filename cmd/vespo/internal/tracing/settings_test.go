package tracing

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// read reads settings of variables given as NAME=value, without the prefix OTEL_.
func read(variables ...string) Settings {
	return Read(func(name string) (value string, found bool) {
		for _, v := range variables {
			if rest, ok := strings.CutPrefix("OTEL_"+v, name+"="); ok {
				value, found = rest, true
			}
		}
		return value, found
	})
}

func TestEndpoints(t *testing.T) {
	for name, c := range map[string]struct {
		variables []string
		endpoint  string
		warns     string // a part of the only warning; empty: there is none
	}{
		"none":             {},
		"empty":            {variables: []string{"EXPORTER_OTLP_ENDPOINT= "}},
		"for all signals":  {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a:4318"}, endpoint: "http://a:4318/v1/traces"},
		"with a path":      {variables: []string{"EXPORTER_OTLP_ENDPOINT=https://a/otlp/"}, endpoint: "https://a/otlp/v1/traces"},
		"for traces":       {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "EXPORTER_OTLP_TRACES_ENDPOINT=http://b/x"}, endpoint: "http://b/x"},
		"without a path":   {variables: []string{"EXPORTER_OTLP_TRACES_ENDPOINT=http://b:1"}, endpoint: "http://b:1/"},
		"no scheme":        {variables: []string{"EXPORTER_OTLP_ENDPOINT=localhost:4318"}, warns: "OTEL_EXPORTER_OTLP_ENDPOINT is not a URL"},
		"a password":       {variables: []string{"EXPORTER_OTLP_TRACES_ENDPOINT=http://u:secret@a"}, warns: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is not a URL"},
		"off":              {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "SDK_DISABLED=TRUE"}},
		"no exporter":      {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "TRACES_EXPORTER=none"}},
		"another exporter": {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "TRACES_EXPORTER=zipkin"}, warns: `OTEL_TRACES_EXPORTER is "zipkin"`},
		"gRPC":             {variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "EXPORTER_OTLP_PROTOCOL=grpc"}, warns: `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"`},
		"gRPC for others": {
			variables: []string{"EXPORTER_OTLP_ENDPOINT=http://a", "EXPORTER_OTLP_PROTOCOL=grpc", "EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"},
			endpoint:  "http://a/v1/traces",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := read(c.variables...)
			require.Equal(t, c.endpoint, s.Endpoint)
			require.NotContains(t, strings.Join(s.Warnings, " "), "secret")
			if c.warns == "" {
				require.Empty(t, s.Warnings)
				return
			}
			require.Len(t, s.Warnings, 1)
			require.Contains(t, s.Warnings[0], c.warns)
		})
	}
}

// TestWrongValues checks that each wrong value is reported with its variable, and leaves the default.
func TestWrongValues(t *testing.T) {
	const on = "EXPORTER_OTLP_ENDPOINT=http://a"
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	normal := read(on)
	require.Empty(t, normal.Warnings)
	require.Equal(t, "ParentBased{root:AlwaysOnSampler,remoteParentSampled:AlwaysOnSampler,remoteParentNotSampled:AlwaysOffSampler,"+
		"localParentSampled:AlwaysOnSampler,localParentNotSampled:AlwaysOffSampler}", normal.sampler.Description())
	for _, wrong := range []string{
		"TRACES_SAMPLER=sometimes",
		"TRACES_SAMPLER=parentbased_jaeger_remote",
		"EXPORTER_OTLP_TIMEOUT=10s",
		"EXPORTER_OTLP_TRACES_TIMEOUT=0",
		"EXPORTER_OTLP_COMPRESSION=zstd",
		"EXPORTER_OTLP_HEADERS=secret",
		"EXPORTER_OTLP_HEADERS=a b=secret",
		"EXPORTER_OTLP_HEADERS=a=secret%0a",
		"EXPORTER_OTLP_CERTIFICATE=/nowhere.pem",
		"EXPORTER_OTLP_CERTIFICATE=" + empty,
		"EXPORTER_OTLP_CLIENT_CERTIFICATE=" + empty,
		"RESOURCE_ATTRIBUTES=a=%zz",
		"BSP_MAX_QUEUE_SIZE=-1",
		"BSP_MAX_QUEUE_SIZE=99999999999",
		"BSP_MAX_EXPORT_BATCH_SIZE=many",
		"BSP_SCHEDULE_DELAY=-5",
		"BSP_EXPORT_TIMEOUT=1e3",
		"PROPAGATORS=b3",
	} {
		s := read(on, wrong)
		require.Len(t, s.Warnings, 1, wrong)
		variable, _, _ := strings.Cut(wrong, "=")
		require.True(t, strings.HasPrefix(s.Warnings[0], "OTEL_"+variable+" "), s.Warnings[0])
		require.NotContains(t, s.Warnings[0], "secret")
		s.Warnings = nil
		require.Equal(t, normal, s, wrong)
	}
}

func TestValues(t *testing.T) {
	s := read(
		"EXPORTER_OTLP_ENDPOINT=https://a",
		"EXPORTER_OTLP_TIMEOUT=1", "EXPORTER_OTLP_TRACES_TIMEOUT=2500",
		"EXPORTER_OTLP_HEADERS=a=b, x-key=c%20d,",
		"EXPORTER_OTLP_COMPRESSION=gzip",
		"TRACES_SAMPLER=traceidratio", "TRACES_SAMPLER_ARG=0.25",
		"RESOURCE_ATTRIBUTES=service.name=one,host.name=h",
		"BSP_MAX_QUEUE_SIZE=10", "BSP_SCHEDULE_DELAY=20", "BSP_EXPORT_TIMEOUT=30",
		"PROPAGATORS=tracecontext, baggage",
	)
	require.Empty(t, s.Warnings)
	require.Equal(t, "one", s.Service)
	require.Equal(t, map[string]string{"A": "b", "X-Key": "c d"}, s.headers)
	require.True(t, s.gzip)
	require.Equal(t, "TraceIDRatioBased{0.25}", s.sampler.Description())
	require.False(t, s.follows)
	require.Equal(t, []time.Duration{2500 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond}, []time.Duration{s.timeout, s.delay, s.patience})
	require.Equal(t, []int{10, 10}, []int{s.queue, s.batch})
	require.Equal(t, "two", read("EXPORTER_OTLP_ENDPOINT=http://a", "RESOURCE_ATTRIBUTES=service.name=one", "SERVICE_NAME=two").Service)
	for _, wrong := range []string{"2", "-1", "NaN", "half"} {
		require.Len(t, read("EXPORTER_OTLP_ENDPOINT=http://a", "TRACES_SAMPLER=traceidratio", "TRACES_SAMPLER_ARG="+wrong).Warnings, 1, wrong)
	}
}
