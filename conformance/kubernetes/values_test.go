package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	strict "sigs.k8s.io/yaml"
)

// podName is a pod of a StatefulSet with its service, in an argument.
var podName = regexp.MustCompile(`([a-z]+)-([0-9]+)\.([a-z-]+)|\$\(POD_NAME\)\.([a-z-]+)`)

// TestValuesOfManifests checks values that have the right type and are wrong all the same.
func TestValuesOfManifests(t *testing.T) {
	m := read(t)
	for name, set := range m.sets {
		replicas := int(*set.Spec.Replicas)
		away, err := intstr.GetScaledValueFromIntOrPercent(m.budgets[name].Spec.MaxUnavailable, replicas, true)
		require.NoError(t, err)
		require.Greater(t, 2*(replicas-away), replicas, "%s: a majority stays during maintenance", name)
		require.Contains(t, []apps.PodManagementPolicyType{apps.ParallelPodManagement, apps.OrderedReadyPodManagement}, set.Spec.PodManagementPolicy)
		spec := set.Spec.Template.Spec
		for _, c := range spec.TopologySpreadConstraints {
			require.Contains(t, []core.UnsatisfiableConstraintAction{core.ScheduleAnyway, core.DoNotSchedule}, c.WhenUnsatisfiable)
		}
		for _, claim := range set.Spec.VolumeClaimTemplates {
			require.Equal(t, []core.PersistentVolumeAccessMode{core.ReadWriteOnce}, claim.Spec.AccessModes)
		}
		for _, c := range spec.Containers {
			for _, probe := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if probe != nil {
					port(t, &c, probe.HTTPGet.Port)
				}
			}
			paths := map[string]bool{}
			for _, mount := range c.VolumeMounts {
				require.False(t, paths[mount.MountPath], mount.MountPath)
				paths[mount.MountPath] = true
			}
			for _, arg := range c.Args {
				requirePods(t, m, set, arg)
			}
		}
	}
}

// requirePods checks that the pods of an argument exist, and that their set has the service of the name.
func requirePods(t *testing.T, m *manifests, own *apps.StatefulSet, arg string) {
	t.Helper()
	for _, found := range podName.FindAllStringSubmatch(arg, -1) {
		if found[4] != "" {
			require.Equal(t, own.Spec.ServiceName, found[4], arg)
			continue
		}
		set := m.sets[found[1]]
		require.NotNil(t, set, arg)
		number, err := strconv.Atoi(found[2])
		require.NoError(t, err)
		require.Less(t, number, int(*set.Spec.Replicas), arg)
		require.Equal(t, set.Spec.ServiceName, found[3], arg)
	}
}

// TestSecretsAreMade checks that the kustomization makes each secret of the containers, and names all files.
func TestSecretsAreMade(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	require.NoError(t, err)
	var k struct {
		Resources       []string
		SecretGenerator []struct{ Name string }
	}
	require.NoError(t, strict.Unmarshal(text, &k))
	var made []string
	for _, s := range k.SecretGenerator {
		made = append(made, s.Name)
	}
	for name, set := range read(t).sets {
		for _, e := range set.Spec.Template.Spec.Containers[0].Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				require.Contains(t, made, e.ValueFrom.SecretKeyRef.Name, name)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	var names []string
	for _, file := range files {
		if name := filepath.Base(file); name != "kustomization.yaml" {
			names = append(names, name)
		}
	}
	slices.Sort(k.Resources)
	require.Equal(t, names, k.Resources)
}
