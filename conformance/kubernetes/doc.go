// Package kubernetes tests the manifests of deploy/kubernetes: their fields by the types of Kubernetes, and their flags and probes on
// a server that is started as they say.
package kubernetes
