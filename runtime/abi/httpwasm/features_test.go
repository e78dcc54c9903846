package httpwasm

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/runtime/abi"
	"github.com/vespo-dev/vespo/runtime/abi/abitest"
	"github.com/vespo-dev/vespo/runtime/engine"
)

func TestEnableFeaturesTellsWhatTheHostCan(t *testing.T) {
	g := newGuest(t, func(g *guest) { require.EqualValues(t, knownFeatures, g.enable(0)) })
	g.handle(func() {
		for _, f := range []uint64{0, 1, 2, 4, 7, 8, 1<<32 - 1} {
			require.EqualValues(t, knownFeatures, g.enable(f))
		}
	})
}

// hasTrailers reports whether the guest can read trailers.
func (g *guest) hasTrailers() bool {
	g.t.Helper()
	x := newExchange()
	x.Trailer = func() abi.Header { return abi.Header{"X": {"y"}} }
	has := false
	g.serve(x, code{request: func() int64 { has = g.names(headerRequestTrailers) != nil; return 0 }})
	return has
}

func TestFeaturesOfTheInitialisationHoldForAllInstances(t *testing.T) {
	g := newGuest(t, func(g *guest) { g.enable(featureTrailers) })
	require.True(t, g.hasTrailers())
	_, err := g.in.Reset()
	require.NoError(t, err)
	require.True(t, g.hasTrailers(), "in an instance that was reset")
	g.in, err = g.bench.Another()
	require.NoError(t, err)
	require.True(t, g.hasTrailers(), "in another instance, which has not been initialised")
}

func TestFeaturesOfARequestEndWithIt(t *testing.T) {
	g := newGuest(t, nil)
	require.False(t, g.hasTrailers())
	g.handle(func() {
		g.enable(featureTrailers)
		g.set(headerResponseTrailers, "x", "y")
	})
	require.False(t, g.hasTrailers())
	other, err := g.bench.Another()
	require.NoError(t, err)
	g.in = other
	require.False(t, g.hasTrailers())
}

func TestTrailersNeedTheFeature(t *testing.T) {
	g := newGuest(t, nil)
	x := newExchange()
	x.Trailer = func() abi.Header { return abi.Header{"X-Sum": {"7"}, "X-Announced": nil} }
	r := g.serve(x, code{request: func() int64 {
		require.Empty(t, g.names(headerRequestTrailers))
		require.Empty(t, g.values(headerRequestTrailers, "x-sum"))
		require.Empty(t, g.names(headerResponseTrailers))
		g.enable(featureTrailers)
		require.Equal(t, []string{"x-sum"}, g.names(headerRequestTrailers), "one that has not come yet is none")
		require.Equal(t, []string{"7"}, g.values(headerRequestTrailers, "X-Sum"))
		g.write(bodyResponse, "body")
		g.add(headerResponseTrailers, "x-a", "1")
		g.add(headerResponseTrailers, "x-a", "2")
		return 0
	}})
	require.Equal(t, abi.Header{"X-A": {"1", "2"}}, r.Trailer)
	require.NotContains(t, r.Sent, "X-A")
}

// TestOutsideOfARequest calls functions that need a request outside of one.
func TestOutsideOfARequest(t *testing.T) {
	b, err := abitest.Open(HostModule())
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	config := ""
	b.Act = func(in *engine.Instance, _ abitest.Entry, _, _ uint32) int64 {
		n := b.Call(in, "get_config", valueAt, 100)
		config = string(in.Memory()[valueAt : valueAt+n])
		b.Call(in, "get_method", 0, 0)
		return 0
	}
	_, err = b.Puppet(New(Config{}), &abi.Environment{Settings: abi.NewSettings(map[string]string{"a": "b"})})
	var invalid *engine.ModuleError
	require.ErrorAs(t, err, &invalid)
	require.ErrorContains(t, err, "get_method is called while there is no request")
	require.Equal(t, `{"a":"b"}`, config, "settings are there already")
}

func TestMatch(t *testing.T) {
	b, err := abitest.Open(HostModule())
	require.NoError(t, err)
	defer func() { require.NoError(t, b.Close()) }()
	in, _, err := b.Forwarder(New(Config{}), &abi.Environment{})
	require.NoError(t, err)
	_, err = New(Config{}).Match(in.Module().Info())
	require.ErrorContains(t, err, "does not export the function handle_request")
	require.Equal(t, "http-wasm", New(Config{}).Traits().Name)
}

// FuzzFunctions calls arbitrary functions with arbitrary parameters
// and memory, before and after the request was passed on.
func FuzzFunctions(f *testing.F) {
	h := abitest.NewHostility(f, New(Config{BufferBytes: 1000}),
		&abi.Environment{Settings: abi.NewSettings(map[string]string{"a": "b"})}, HostModule())
	for _, seed := range h.Seeds() {
		f.Add(byte(0), seed)
		f.Add(byte(featureBufferResponse|featureTrailers)<<1|1, seed)
	}
	f.Fuzz(func(t *testing.T, how byte, program []byte) {
		c := h.Instance().Exchange.(*call)
		x := newExchange()
		x.Body, x.Response, x.Context, x.Log = abi.Arrived(strings.NewReader("some body")), &abitest.Response{}, context.Background(), nil
		x.Header = abi.Header{"A": {"b", ""}, "Content-Type": {"text/plain"}}
		x.Trailer = func() abi.Header { return abi.Header{"T": {"u"}, "V": nil} }
		x.Next = func(behind *abi.Exchange) error {
			_, err := behind.Response.Write([]byte("from behind"))
			return err
		}
		c.begin(x)
		defer c.end()
		c.features |= uint32(how>>1) & knownFeatures
		if how&1 != 0 {
			require.NoError(t, c.next())
			c.phase = inResponse
		}
		h.Run(t, program)
	})
}
