package s3store

import (
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/cmd/vespo/vespo-cluster/engineurl"
)

// Scheme is that of the URLs.
const Scheme = "s3"

// Defaults and bounds of a Config.
const (
	defaultEndpoint = "https://s3.amazonaws.com"
	defaultTimeout  = 30 * time.Second
	minTimeout      = 100 * time.Millisecond
	maxTimeout      = 10 * time.Minute
)

// Config names a place in an object store.
type Config struct {
	Bucket   string
	Prefix   string // without slashes around it; may be empty
	Endpoint *url.URL
	Region   string // empty: it is asked for
	// VirtualHost puts the bucket into the host name; else it is in the path.
	VirtualHost bool
	CA          string        // file; empty: the machine's authorities
	Credentials string        // file in the form of AWS; empty: the environment
	Profile     string        // in that file; empty: default
	Timeout     time.Duration // of an operation
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// Parse reads s3://BUCKET[/PREFIX][?OPTION=VALUE&...].
func Parse(text string) (Config, error) {
	c := Config{Timeout: defaultTimeout}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != Scheme || u.Fragment != "" {
		return c, engineurl.Refuse("write it like s3://bucket/prefix?endpoint=https://host")
	}
	if u.User != nil {
		return c, engineurl.Refuse("keys in it would be seen in the list of processes: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or credentials")
	}
	c.Bucket, c.Prefix = u.Host, strings.Trim(u.Path, "/")
	if !bucketName.MatchString(c.Bucket) {
		return c, engineurl.Refuse("%.80q is not the name of a bucket", c.Bucket)
	}
	if c.Prefix != "" && path.Clean("/"+c.Prefix) != "/"+c.Prefix {
		return c, engineurl.Refuse("the prefix %.80q must not have empty parts, . or ..", c.Prefix)
	}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, engineurl.Refuse("its options are not well-formed")
	}
	endpoint := defaultEndpoint
	names := []string{"endpoint", "region", "path_style", "ca", "credentials", "profile", "timeout"}
	err = engineurl.Each(options, func(name, value string) (known, valid bool, rule string) {
		switch name {
		case "endpoint":
			endpoint = value
		case "region":
			c.Region = value
		case "path_style":
			c.VirtualHost = value == "off"
			return true, value == "on" || value == "off", `must be "on" or "off"`
		case "ca":
			c.CA = value
		case "credentials":
			c.Credentials = value
		case "profile":
			c.Profile = value
		case "timeout":
			c.Timeout, err = time.ParseDuration(value)
			return true, err == nil && c.Timeout >= minTimeout && c.Timeout <= maxTimeout, "must be a duration from 100ms to 10m"
		default:
			return false, false, ""
		}
		return true, value != "", "must not be empty"
	}, names...)
	if err != nil {
		return c, err
	}
	c.Endpoint, err = url.Parse(endpoint)
	if err != nil || c.Endpoint.Host == "" || c.Endpoint.User != nil || strings.Trim(c.Endpoint.Path, "/") != "" ||
		c.Endpoint.Scheme != "https" && c.Endpoint.Scheme != "http" {
		return c, engineurl.Refuse("endpoint must be like https://host:port")
	}
	if c.CA != "" && c.Endpoint.Scheme != "https" {
		return c, engineurl.Refuse("ca needs an endpoint with https")
	}
	if c.Profile != "" && c.Credentials == "" {
		return c, engineurl.Refuse("profile needs credentials")
	}
	return c, nil
}

// String returns the place without secrets.
func (c Config) String() string {
	return Scheme + "://" + strings.TrimSuffix(c.Bucket+"/"+c.Prefix, "/") + " at " + c.Endpoint.Host
}

// tls returns the configuration of connections.
func (c Config) tls() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA == "" {
		return config, nil
	}
	pem, err := engineurl.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, engineurl.Refuse("%s has no certificate in PEM", c.CA)
	}
	return config, nil
}
