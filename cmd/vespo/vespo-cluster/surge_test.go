package main

import (
	"log/slog"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/internal/cluster"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdstore"
	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// TestPlaces takes all places. Another host gets one when one is released, and when a host has died.
func TestPlaces(t *testing.T) {
	server := etcdtest.Start(t)
	url := server.URL("places") + "?lease=1s"
	dying, err := etcdstore.OpenURL(t.Context(), cluster.Options{URL: url, Log: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	other := opened(t, url)
	_, err = dying.Place(t.Context(), 2)
	require.NoError(t, err)
	release, err := other.Place(t.Context(), 2)
	require.NoError(t, err)
	require.NotNil(t, release)
	taken := func() func() {
		release, err := other.Place(t.Context(), 2)
		require.NoError(t, err)
		return release
	}
	require.Nil(t, taken())
	release()
	second := taken()
	require.NotNil(t, second)
	require.NoError(t, dying.Close())
	var third func()
	require.True(t, within(patience, func() bool { third = taken(); return third != nil }), "its lease has ended")
	second()
	third()
}

// placeTime is the time after which a host prepares without a place.
const placeTime = 30 * time.Second

// TestSurge keeps a host from preparing a module until a place is free. Changes without a module are served meanwhile.
func TestSurge(t *testing.T) {
	server := etcdtest.Start(t)
	all := hostsOf(t, server.URL("surge"), 2)
	client := server.Client(t)
	status, answer := all[0].redirect("/a", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	all[1].eventually(func() bool { return all[1].seen("/a") == "/1" })
	for _, place := range []string{"0000", "0001"} {
		_, err := client.Put(t.Context(), "/surge/places/"+place, "another host")
		require.NoError(t, err)
	}
	status, answer = all[0].redirect("/a", "/2")
	require.Equal(t, http.StatusOK, status, answer)
	all[1].eventually(func() bool { return all[1].seen("/a") == "/2" })
	status, answer = all[0].post("/services/add", url.Values{"prefix": {"hello"}}, guest(t, "hello"))
	require.Equal(t, http.StatusCreated, status, answer)
	all[1].eventually(func() bool { return all[1].storeState().State == "behind" })
	status, answer = all[0].redirect("/a", "/3")
	require.Equal(t, http.StatusOK, status, answer)
	status, answer = all[0].redirect("/b", "/1")
	require.Equal(t, http.StatusCreated, status, answer)
	require.True(t, within(placeTime/2, func() bool { return all[1].seen("/a") == "/3" && all[1].seen("/b") == "/1" }), "a newer state waits for the module")
	status, answer = all[0].post("/services/remove", url.Values{"prefix": {"b"}}, nil)
	require.Equal(t, http.StatusOK, status, answer)
	require.True(t, within(placeTime/2, func() bool { return all[1].seen("/b") == "" }), "a removal waits for the module")
	require.Empty(t, all[1].body("/hello"))
	require.Equal(t, "behind", all[1].storeState().State)
	_, err := client.Delete(t.Context(), "/surge/places/0001")
	require.NoError(t, err)
	all[1].eventually(func() bool { return all[1].body("/hello") == "hello from vespo" })
}
