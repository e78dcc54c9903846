package queue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/schema"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestDocumentIsCanonical(t *testing.T) {
	require.Equal(t, `{}`, string(queue.Document{Depth: queue.DefaultDepth}.Encode()))
	d := queue.Document{
		Depth:     5,
		Lease:     schema.Period(90 * time.Second),
		Redeliver: true,
		Default:   true,
		Durable:   true,
	}
	require.Equal(t, `{"default":true,"depth":5,"durable":true,"lease":"1m30s","redeliver":true}`, string(d.Encode()))
	d, err := queue.Decode(` {"lease": "5s"} `)
	require.NoError(t, err)
	require.Equal(t, queue.Document{Lease: schema.Period(5 * time.Second)}, d)
}

func TestWhatIsNoDocument(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `{"depth":"5"}`, `{"depth":1.5}`, `{"deep":5}`, `{} {}`, `{"lease":5}`} {
		_, err := queue.Decode(registry.Manifest(text))
		require.Error(t, err, text)
	}
	_, err := queue.Decode(registry.Manifest(make([]byte, schema.MaxManifestBytes+1)))
	require.ErrorContains(t, err, "at most")
}

// text returns the spec of a queue with a document that may be wrong.
func text(document string, options ...servicetest.Option) services.Spec {
	return servicetest.Manifest(queue.KindName, "/jobs", registry.Manifest(document), options...)
}

// TestViolations checks that all violations are reported at once.
func TestViolations(t *testing.T) {
	err := queue.New(queue.Config{}).Validate(text(`{"depth":-1,"lease":"2h","durable":true}`, servicetest.WithTimeout(2*queue.MaxTimeout)))
	for _, want := range []string{"depth is -1", `lease is 2h0m0s`, "timeout is 2h", "durable is given, but this server keeps no data"} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, queue.New(queue.Config{}).Validate(text(`{}`, servicetest.WithMemory(1))), "memory")
	require.ErrorContains(t, queue.New(queue.Config{}).Validate(text(`{"lease":"1ms"}`)), "lease is 1ms")
	require.ErrorContains(t, queue.New(queue.Config{}).Validate(text(`{"depth":100001}`)), "depth is 100001")
	require.NoError(t, queue.New(queue.Config{}).Validate(text(`{}`)))
}
