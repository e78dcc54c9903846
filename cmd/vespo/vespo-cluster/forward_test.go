package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/etcdtest"
)

// counted returns the sum of the samples of a metric whose labels contain a text.
func (h *host) counted(metric, labels string) (sum float64) {
	h.t.Helper()
	pattern := regexp.MustCompile(`(?m)^` + metric + `\{([^}]*)\} (\S+)$`)
	for _, sample := range pattern.FindAllStringSubmatch(h.body("/services/metrics"), -1) {
		if regexp.MustCompile(labels).MatchString(sample[1]) {
			n, err := strconv.ParseFloat(sample[2], 64)
			require.NoError(h.t, err)
			sum += n
		}
	}
	return sum
}

// TestForwardCold restarts two hosts, so that no service is loaded, and asks both hosts for all services: each is loaded on one
// host alone. If that host dies, the other one serves all.
func TestForwardCold(t *testing.T) {
	t.Parallel()
	const services = 12
	server := etcdtest.Start(t)
	var all []*host
	for range 2 {
		h := newHost(t, server.URL("forward"))
		h.args = append(h.args, "--forward-cold")
		h.start()
		all = append(all, h)
	}
	for i := range services {
		status, answer := all[0].post("/services/add", url.Values{"prefix": {fmt.Sprintf("s%d", i)}}, guest(t, "hello"))
		require.Equal(t, http.StatusCreated, status, answer)
	}
	last := fmt.Sprintf("/s%d", services-1)
	all[1].eventually(func() bool { return all[1].body(last) != "" })
	for _, h := range all {
		h.kill()
	}
	for _, h := range all {
		h.start()
	}
	for _, h := range all {
		h.eventually(func() bool { return strings.Contains(h.body("/services/metrics"), "vespo_forward_hosts 1\n") })
	}
	for range 2 {
		for _, h := range all {
			for i := range services {
				require.Equal(t, "hello from vespo", h.body(fmt.Sprintf("/s%d", i)))
			}
		}
	}
	cold := all[0].counted("vespo_guest_starts_total", `start="cold"`) + all[1].counted("vespo_guest_starts_total", `start="cold"`)
	require.EqualValues(t, services, cold)
	for _, h := range all {
		require.Positive(t, h.counted("vespo_forward_requests_total", `result="served"`))
		require.Zero(t, h.counted("vespo_forward_requests_total", `result="failed"`))
	}
	address := regexp.MustCompile(`"address":"([^"]+)"[^}]*"own":true`).FindStringSubmatch(all[1].body("/services/hosts"))
	require.NotNil(t, address)
	for _, step := range [][2]string{{"drain", "0"}, {"undrain", "1"}} {
		on, homes := step[0], step[1]
		if status, answer := all[0].post("/services/hosts/"+on, url.Values{"host": {address[1]}}, nil); status/100 != 2 {
			require.Fail(t, answer)
		}
		all[0].eventually(func() bool {
			return strings.Contains(all[0].body("/services/metrics"), "vespo_forward_hosts "+homes+"\n")
		})
	}
	all[1].kill()
	for range 2 {
		for i := range services {
			require.Equal(t, "hello from vespo", all[0].body(fmt.Sprintf("/s%d", i)))
		}
	}
	require.Positive(t, all[0].counted("vespo_forward_requests_total", `result="unreached"`))
}
