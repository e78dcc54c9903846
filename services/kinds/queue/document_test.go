package queue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/document"
	"github.com/vespo-dev/vespo/services/kinds/queue"
	"github.com/vespo-dev/vespo/services/servicetest"
)

func TestDocumentIsCanonical(t *testing.T) {
	require.Equal(t, `{}`, string(queue.Document{Depth: queue.DefaultDepth}.Encode()))
	require.Equal(t, `{"depth":5,"lease":"1m30s","redeliver":true,"default":true,"durable":true}`,
		string(queue.Document{Depth: 5, Lease: "90s", Redeliver: true, Default: true, Durable: true}.Encode()))
	d, err := queue.Decode([]byte(` {"lease": "5s"} `))
	require.NoError(t, err)
	require.Equal(t, queue.Document{Lease: "5s"}, d)
}

func TestWhatIsNoDocument(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `{"depth":"5"}`, `{"depth":1.5}`, `{"deep":5}`, `{} {}`, `{"lease":5}`} {
		_, err := queue.Decode([]byte(text))
		require.Error(t, err, text)
	}
	_, err := queue.Decode(make([]byte, document.MaxBytes+1))
	require.ErrorContains(t, err, "at most")
}

// text returns the spec of a queue with a document that may be wrong.
func text(document string, options ...servicetest.Option) services.Spec {
	return servicetest.Module(queue.KindName, "/jobs", []byte(document), options...)
}

// TestViolations checks that all violations are reported at once.
func TestViolations(t *testing.T) {
	err := queue.New(queue.Config{}).Validate(text(`{"depth":-1,"lease":"soon","durable":true}`,
		servicetest.WithTimeout(2*queue.MaxTimeout), servicetest.WithMemory(1), servicetest.WithAllow("x")))
	for _, want := range []string{"depth is -1", `lease is "soon"`, "the option timeout is 2h", "the option memory is for modules", "the option allow", "keeps no data"} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, queue.New(queue.Config{}).Validate(text(`{"lease":"1ms"}`)), "lease is 1ms")
	require.ErrorContains(t, queue.New(queue.Config{}).Validate(text(`{"depth":100001}`)), "depth is 100001")
	require.NoError(t, queue.New(queue.Config{}).Validate(text(`{}`)))
}
