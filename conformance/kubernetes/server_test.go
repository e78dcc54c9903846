package kubernetes

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"

	"github.com/vespo-dev/vespo/conformance/internal/program"
)

// vespo is the path of vespo-cluster.
var vespo string

func TestMain(m *testing.M) {
	os.Exit(program.Main(m, map[*string]program.Source{
		&vespo: {Dir: "../../cmd/vespo/vespo-cluster", Package: "github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster"},
	}))
}

func newReader(text []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(text)) }

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// startEtcd starts etcd, and returns its address.
func startEtcd(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("etcd"); err != nil {
		t.Skip("etcd is not installed")
	}
	clients, peers := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	program.Start(t, append(os.Environ(), "ETCD_UNSUPPORTED_ARCH=arm64"), "etcd", "--data-dir", t.TempDir(), "--listen-client-urls", "http://"+clients, "--advertise-client-urls", "http://"+clients,
		"--listen-peer-urls", "http://"+peers, "--initial-advertise-peer-urls", "http://"+peers, "--initial-cluster", "default=http://"+peers)
	answers(t, "http://"+clients+"/health", http.StatusOK)
	return clients
}

// answers waits until a URL is answered with a status.
func answers(t *testing.T, url string, status int) {
	t.Helper()
	require.Eventually(t, func() bool {
		resp, err := http.Get(url)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == status
	}, program.HangTimeout, 20*time.Millisecond, url)
}

// TestProbesAnswer starts a server with the arguments and the environment of the manifest, with addresses of this machine in the
// place of the pod's, and asks the ports and paths of its probes. On SIGTERM it is not ready, and serves for the delay.
func TestProbesAnswer(t *testing.T) {
	etcd := startEtcd(t)
	c := read(t).sets["vespo"].Spec.Template.Spec.Containers[0]
	ports := map[int32]string{}
	for _, p := range c.Ports {
		ports[p.ContainerPort] = freePort(t)
	}
	var args []string
	for _, arg := range c.Args {
		name, value, found := strings.Cut(arg, "=")
		if !found {
			args = append(args, arg)
			continue
		}
		args = append(args, name+"="+here(t, name, value, etcd, ports))
	}
	p := program.Start(t, []string{"VESPO_ADMIN_TOKEN=0123456789abcdef", "GOMEMLIMIT=384MiB", "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, vespo, args...)
	url := func(probe *core.Probe) string {
		return "http://127.0.0.1:" + ports[port(t, &c, probe.HTTPGet.Port)] + probe.HTTPGet.Path
	}
	for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		answers(t, url(probe), http.StatusOK)
	}
	answers(t, "http://127.0.0.1:"+ports[9080]+"/services/list", http.StatusUnauthorized)
	go p.Stop(os.Interrupt)
	answers(t, url(c.ReadinessProbe), http.StatusServiceUnavailable)
	answers(t, url(c.LivenessProbe), http.StatusOK)
}

// here returns the value of a flag with addresses and directories of this machine.
func here(t *testing.T, name, value, etcd string, ports map[int32]string) string {
	t.Helper()
	for number, free := range ports {
		value = strings.ReplaceAll(value, fmt.Sprintf(":%d", number), ":"+free)
	}
	switch name {
	case "--data":
		require.Equal(t, "/data", value)
		return t.TempDir()
	case "--store":
		require.Equal(t, "etcd://etcd-0.etcd,etcd-1.etcd,etcd-2.etcd/vespo", value)
		return "etcd://" + etcd + "/vespo"
	case "--peer-address":
		_, own, err := net.SplitHostPort(value)
		require.NoError(t, err)
		return "127.0.0.1:" + own
	}
	return value
}
