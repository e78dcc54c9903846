// Package proxy is the kind of service that takes requests to other HTTP servers, its upstreams.
package proxy
