// Package registry tests pulls and pushes of modules with a registry and a client of others: those of go-containerregistry.
package registry
