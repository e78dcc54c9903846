package queue

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/registry"
	"github.com/vespo-dev/vespo/services"
	"github.com/vespo-dev/vespo/services/internal/document"
)

func TestDocumentIsCanonical(t *testing.T) {
	require.Equal(t, `{}`, string(Document{Depth: DefaultDepth}.Encode()))
	require.Equal(t, `{"depth":5,"lease":"1m30s","redeliver":true,"default":true,"durable":true}`,
		string(Document{Depth: 5, Lease: "90s", Redeliver: true, Default: true, Durable: true}.Encode()))
	d, err := Decode([]byte(` {"lease": "5s"} `))
	require.NoError(t, err)
	require.Equal(t, Document{Lease: "5s"}, d)
}

func TestWhatIsNoDocument(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `{"depth":"5"}`, `{"depth":1.5}`, `{"deep":5}`, `{} {}`, `{"lease":5}`} {
		_, err := Decode([]byte(text))
		require.Error(t, err, text)
	}
	_, err := Decode(make([]byte, document.MaxBytes+1))
	require.ErrorContains(t, err, "at most")
}

// TestViolations checks that all violations are reported at once.
func TestViolations(t *testing.T) {
	err := New(Config{}).Validate(services.Spec{Module: []byte(`{"depth":-1,"lease":"soon","durable":true}`),
		Options: registry.Options{Timeout: 2 * MaxTimeout, MemoryBytes: 1, Allow: []string{"x"}}})
	for _, want := range []string{"depth is -1", `lease is "soon"`, "the option timeout is 2h", "the option memory is for modules", "the option allow", "keeps no data"} {
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, New(Config{}).Validate(services.Spec{Module: []byte(`{"lease":"1ms"}`)}), "lease is 1ms")
	require.ErrorContains(t, New(Config{}).Validate(services.Spec{Module: []byte(`{"depth":100001}`)}), "depth is 100001")
	require.NoError(t, New(Config{}).Validate(services.Spec{Module: []byte(`{}`)}))
}

func TestLeases(t *testing.T) {
	p := &plan{timeout: time.Minute}
	require.Equal(t, 30*time.Second, p.leaseFor(true), "there is time for another")
	require.Equal(t, time.Minute, p.leaseFor(false))
	p.lease = 5 * time.Second
	require.Equal(t, 5*time.Second, p.leaseFor(true))
	require.Equal(t, 5*time.Second, p.leaseFor(false))
}
