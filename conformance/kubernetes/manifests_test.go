package kubernetes

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	network "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

const dir = "../../deploy/kubernetes"

// manifests are the objects of all files.
type manifests struct {
	sets     map[string]*apps.StatefulSet
	services map[string]*core.Service
	budgets  map[string]*policy.PodDisruptionBudget
	networks map[string]*network.NetworkPolicy
}

// read decodes all files. A field that Kubernetes does not know fails the test.
func read(t *testing.T) *manifests {
	t.Helper()
	m := &manifests{
		sets:     map[string]*apps.StatefulSet{},
		services: map[string]*core.Service{},
		budgets:  map[string]*policy.PodDisruptionBudget{},
		networks: map[string]*network.NetworkPolicy{},
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for documents := yaml.NewYAMLReader(newReader(text)); ; {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			m.add(t, file, document)
		}
	}
	require.Len(t, m.sets, 2)
	return m
}

func (m *manifests) add(t *testing.T, file string, document []byte) {
	t.Helper()
	var kind meta.TypeMeta
	require.NoError(t, strict.Unmarshal(document, &kind))
	decode := func(to any) { t.Helper(); require.NoError(t, strict.UnmarshalStrict(document, to), file) }
	switch kind.APIVersion + " " + kind.Kind {
	case "apps/v1 StatefulSet":
		var o apps.StatefulSet
		decode(&o)
		m.sets[o.Name] = &o
	case "v1 Service":
		var o core.Service
		decode(&o)
		m.services[o.Name] = &o
	case "policy/v1 PodDisruptionBudget":
		var o policy.PodDisruptionBudget
		decode(&o)
		m.budgets[o.Name] = &o
	case "networking.k8s.io/v1 NetworkPolicy":
		var o network.NetworkPolicy
		decode(&o)
		m.networks[o.Name] = &o
	case "v1 Namespace":
		decode(&core.Namespace{})
	default:
		t.Errorf("%s has a %s %s, which the test does not know", file, kind.APIVersion, kind.Kind)
	}
}

// TestManifestsFitTogether checks what Kubernetes does not: that names and labels of objects lead to each other.
func TestManifestsFitTogether(t *testing.T) {
	m := read(t)
	for name, set := range m.sets {
		pod := set.Spec.Template
		require.True(t, chosen(t, set.Spec.Selector, pod.Labels), name)
		require.Equal(t, core.ClusterIPNone, m.services[set.Spec.ServiceName].Spec.ClusterIP)
		require.True(t, m.services[set.Spec.ServiceName].Spec.PublishNotReadyAddresses, "hosts need each other before they are ready")
		require.True(t, chosen(t, m.budgets[name].Spec.Selector, pod.Labels), name)
		require.True(t, chosen(t, &m.networks[name].Spec.PodSelector, pod.Labels), name)
		requireRestricted(t, &pod.Spec)
		mounted := map[string]bool{}
		for _, v := range pod.Spec.Volumes {
			mounted[v.Name] = true
		}
		for _, v := range set.Spec.VolumeClaimTemplates {
			mounted[v.Name] = true
		}
		for _, v := range pod.Spec.Containers[0].VolumeMounts {
			require.True(t, mounted[v.Name], v.Name)
		}
		for _, rule := range m.networks[name].Spec.Ingress {
			for _, p := range rule.Ports {
				port(t, &pod.Spec.Containers[0], *p.Port)
			}
		}
	}
	for name, service := range m.services {
		found := false
		for _, set := range m.sets {
			if labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(set.Spec.Template.Labels)) {
				found = true
				for _, p := range service.Spec.Ports {
					port(t, &set.Spec.Template.Spec.Containers[0], p.TargetPort)
				}
			}
		}
		require.True(t, found, name)
	}
}

func chosen(t *testing.T, s *meta.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	return selector.Matches(labels.Set(of))
}

// requireRestricted checks the rules of the Pod Security Standard "restricted", and a root file system that cannot be written to.
func requireRestricted(t *testing.T, spec *core.PodSpec) {
	t.Helper()
	require.True(t, *spec.SecurityContext.RunAsNonRoot)
	require.Equal(t, core.SeccompProfileTypeRuntimeDefault, spec.SecurityContext.SeccompProfile.Type)
	for _, c := range spec.Containers {
		require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
		require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
		require.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
		require.Empty(t, c.SecurityContext.Capabilities.Add)
	}
	require.False(t, *spec.AutomountServiceAccountToken)
}

// port returns the number of a port of a container, which must have a name.
func port(t *testing.T, c *core.Container, of intstr.IntOrString) int32 {
	t.Helper()
	for _, p := range c.Ports {
		if p.Name == of.StrVal {
			return p.ContainerPort
		}
	}
	require.Fail(t, "the container has no such port", "%s: %s", c.Name, of.String())
	return 0
}

// flags returns the flags of the server's container with their values.
func flags(t *testing.T, c *core.Container) map[string]string {
	t.Helper()
	require.Equal(t, "serve", c.Args[0])
	all := map[string]string{}
	for _, arg := range c.Args[1:] {
		name, value, _ := strings.Cut(arg, "=")
		require.True(t, strings.HasPrefix(name, "--"), arg)
		all[strings.TrimPrefix(name, "--")] = value
	}
	return all
}

// TestFlagsExist checks the arguments of the server against its help.
func TestFlagsExist(t *testing.T) {
	c := read(t).sets["vespo"].Spec.Template.Spec.Containers[0]
	help, err := exec.Command(vespo, "serve", "--help").CombinedOutput()
	require.NoError(t, err, "%s", help)
	for name := range flags(t, &c) {
		require.Regexp(t, `(?m)^ +(-., )?--`+regexp.QuoteMeta(name)+`\b`, string(help))
	}
}

// TestSizesFit checks that the limit on memory has room for what the flags allow, and the grace period for the drain.
func TestSizesFit(t *testing.T) {
	spec := read(t).sets["vespo"].Spec.Template.Spec
	c := spec.Containers[0]
	f := flags(t, &c)
	size := func(text string) int64 {
		t.Helper()
		q, err := resource.ParseQuantity(strings.TrimSuffix(text, "B"))
		require.NoError(t, err)
		return q.Value()
	}
	const spareSlots, compilers = 5, 2
	limit := int64(0)
	for _, e := range c.Env {
		if e.Name == "GOMEMLIMIT" {
			limit = size(e.Value)
		}
	}
	require.Positive(t, limit)
	needs := (size(f["slots"])+spareSlots)*size(f["memory"]) + size(f["code-memory"]) + compilers*size(f["compile-memory"]) + limit
	require.LessOrEqual(t, needs, c.Resources.Limits.Memory().Value())
	require.Equal(t, c.Resources.Limits.Memory().Value(), c.Resources.Requests.Memory().Value())
	delay, err := time.ParseDuration(f["shutdown-delay"])
	require.NoError(t, err)
	require.Greater(t, *spec.TerminationGracePeriodSeconds, int64(delay.Seconds())+31)
	ready := c.ReadinessProbe
	require.Greater(t, int32(delay.Seconds()), ready.PeriodSeconds*ready.FailureThreshold)
}

// TestKustomize builds all with kubectl.
func TestKustomize(t *testing.T) {
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("kubectl is not installed")
	}
	own := t.TempDir()
	require.NoError(t, os.CopyFS(own, os.DirFS(dir)))
	require.NoError(t, os.WriteFile(filepath.Join(own, "admin.env"), []byte("token=0123456789abcdef\n"), 0o600))
	out, err := exec.Command("kubectl", "kustomize", own).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "image: registry.example.com/vespo-cluster:")
	require.Equal(t, 1, bytes.Count(out, []byte("kind: Secret\n")))
	require.Equal(t, 2, bytes.Count(out, []byte("kind: StatefulSet\n")))
}
