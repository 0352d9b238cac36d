//go:build tools

// Package apiserver names what tests/api_server builds. Kubernetes replaces its staging repositories by local folders, so
// `go install` of a version cannot work; go.mod names their published versions instead.
package apiserver

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
