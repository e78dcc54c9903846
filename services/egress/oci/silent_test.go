package oci_test

import (
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/services/egress/oci"
)

// A registry that takes connections and is silent is told from one that cannot be reached.
func TestSilentRegistry(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	ref, err := oci.ParseReference("oci://" + silent.Addr().String() + "/a:b")
	require.NoError(t, err)
	c := &oci.Client{
		HTTP:     &http.Client{Transport: &http.Transport{TLSHandshakeTimeout: 50 * time.Millisecond, ResponseHeaderTimeout: 50 * time.Millisecond}},
		MaxBytes: 1 << 20,
	}
	_, _, err = c.Pull(t.Context(), ref)
	require.ErrorContains(t, err, "is in a registry that did not answer in time")
}
