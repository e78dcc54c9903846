package tracing

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/vespo-dev/vespo/internal/httpfield"
	"github.com/vespo-dev/vespo/internal/regular"
)

// Settings are the settings of a Tracer, as read from the environment.
type Settings struct {
	Endpoint string // URL that spans are posted to; empty: tracing is off
	Service  string // service.name
	Warnings []string

	headers  map[string]string // may hold secrets
	gzip     bool
	tls      *tls.Config
	timeout  time.Duration // of one request
	sampler  sdk.Sampler
	follows  bool // the sampler drops requests whose client has not sampled them
	resource []attribute.KeyValue
	queue    int           // finished spans that wait
	batch    int           // spans in one request
	delay    time.Duration // between two requests, unless a batch is full
	patience time.Duration // for a batch, with retries
}

// tracesPath follows the URL of OTEL_EXPORTER_OTLP_ENDPOINT.
const tracesPath = "v1/traces"

// Limits of the settings.
const (
	maxQueue = 1 << 16
	maxMilli = 10 * 60 * 1000
	maxFile  = 1 << 20 // bytes of a file of certificates
)

// Read reads the settings by lookup, which has the form of os.LookupEnv. Empty values count as unset.
func Read(lookup func(string) (string, bool)) Settings {
	e := environment{lookup: lookup}
	s := Settings{Service: "vespo"}
	if strings.EqualFold(e.get("OTEL_SDK_DISABLED"), "true") {
		return s
	}
	if s.Endpoint = e.endpoint(); s.Endpoint == "" || !e.exports() || !e.speaks() {
		s.Endpoint, s.Warnings = "", e.warnings
		return s
	}
	e.propagates()
	s.headers, s.gzip = e.headers(), e.gzip()
	s.timeout = e.millis("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", e.millis("OTEL_EXPORTER_OTLP_TIMEOUT", 10*time.Second))
	s.sampler, s.follows = e.sampler()
	s.resource = e.resource(&s.Service)
	s.queue = e.number("OTEL_BSP_MAX_QUEUE_SIZE", 2048, maxQueue)
	s.batch = min(e.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512, maxQueue), s.queue)
	s.delay = e.millis("OTEL_BSP_SCHEDULE_DELAY", 5*time.Second)
	s.patience = e.millis("OTEL_BSP_EXPORT_TIMEOUT", 30*time.Second)
	s.tls = e.tls()
	s.Warnings = e.warnings
	return s
}

// environment reads variables and collects warnings.
type environment struct {
	lookup   func(string) (string, bool)
	warnings []string
}

func (e *environment) get(name string) string {
	value, _ := e.lookup(name)
	return strings.TrimSpace(value)
}

// either returns the value of the variable for traces, or of the one for all signals, with its name.
func (e *environment) either(suffix string) (name, value string) {
	for _, name = range [...]string{"OTEL_EXPORTER_OTLP_TRACES_" + suffix, "OTEL_EXPORTER_OTLP_" + suffix} {
		if value = e.get(name); value != "" {
			break
		}
	}
	return name, value
}

func (e *environment) warn(name, format string, args ...any) {
	e.warnings = append(e.warnings, name+" "+fmt.Sprintf(format, args...))
}

// endpoint returns the URL for spans, or "" if none is configured.
func (e *environment) endpoint() string {
	name, value := e.either("ENDPOINT")
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		e.warn(name, "is not a URL such as http://127.0.0.1:4318, without user and query: no traces are exported") // it may hold a password
		return ""
	}
	if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
		u = u.JoinPath(tracesPath)
	} else if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// exports reports whether spans go to the receiver.
func (e *environment) exports() bool {
	const name = "OTEL_TRACES_EXPORTER"
	switch value := e.get(name); value {
	case "", "otlp":
		return true
	case "none":
	default:
		e.warn(name, "is %q: use otlp or none; no traces are exported", value)
	}
	return false
}

// speaks reports whether the protocol is supported.
func (e *environment) speaks() bool {
	name, value := e.either("PROTOCOL")
	if value == "" || value == "http/protobuf" {
		return true
	}
	e.warn(name, "is %q: only http/protobuf is supported, usually at port 4318; no traces are exported", value)
	return false
}

func (e *environment) propagates() {
	const name = "OTEL_PROPAGATORS"
	value := e.get(name)
	if value != "" && !slices.Contains(strings.Split(strings.ReplaceAll(value, " ", ""), ","), "tracecontext") {
		e.warn(name, "is %q: only tracecontext is supported, and used", value)
	}
}

// headers returns the fields of requests to the receiver.
func (e *environment) headers() map[string]string {
	name, value := e.either("HEADERS")
	headers := make(map[string]string)
	for key, value := range e.pairs(name, value) {
		if !httpfield.ValidName(key) || !httpfield.ValidValue(value) {
			e.warn(name, "has an invalid field %.40q, which is left out", key)
			continue
		}
		headers[textproto.CanonicalMIMEHeaderKey(key)] = value
	}
	return headers
}

// pairs yields the pairs of a list such as a=b,c=d, whose values may be percent-encoded.
func (e *environment) pairs(name, list string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		for pair := range strings.SplitSeq(list, ",") {
			if strings.TrimSpace(pair) == "" {
				continue
			}
			key, escaped, found := strings.Cut(pair, "=")
			key = strings.TrimSpace(key)
			value, err := url.PathUnescape(strings.TrimSpace(escaped))
			if !found || key == "" || err != nil {
				e.warn(name, "must be a list such as name=value,name2=value2: a part of it is left out") // it may hold secrets
				continue
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

func (e *environment) gzip() bool {
	name, value := e.either("COMPRESSION")
	if value != "" && value != "gzip" && value != "none" {
		e.warn(name, "is %q: use gzip or none; spans are sent uncompressed", value)
	}
	return value == "gzip"
}

// sampler returns the sampler, and whether it drops requests whose client has not sampled them.
func (e *environment) sampler() (s sdk.Sampler, follows bool) {
	const name = "OTEL_TRACES_SAMPLER"
	value := cmp.Or(e.get(name), "parentbased_always_on")
	root, follows := strings.CutPrefix(value, "parentbased_")
	switch root {
	case "always_on":
		s = sdk.AlwaysSample()
	case "always_off":
		s = sdk.NeverSample()
	case "traceidratio":
		s = sdk.TraceIDRatioBased(e.ratio())
	default:
		e.warn(name, "is %q: use always_on, always_off or traceidratio, alone or after parentbased_; parentbased_always_on is used", value)
		s, follows = sdk.AlwaysSample(), true
	}
	if follows {
		s = sdk.ParentBased(s)
	}
	return s, follows
}

func (e *environment) ratio() float64 {
	const name = "OTEL_TRACES_SAMPLER_ARG"
	value := e.get(name)
	if value == "" {
		return 1
	}
	ratio, err := strconv.ParseFloat(value, 64)
	if err != nil || !(ratio >= 0 && ratio <= 1) {
		e.warn(name, "is %q: it must be a number from 0 to 1; 1 is used", value)
		return 1
	}
	return ratio
}

// resource returns the attributes of the server, and sets the name of the service.
func (e *environment) resource(service *string) (all []attribute.KeyValue) {
	const name = "OTEL_RESOURCE_ATTRIBUTES"
	for key, value := range e.pairs(name, e.get(name)) {
		if key == "service.name" {
			*service = value
			continue
		}
		all = append(all, attribute.String(key, strings.ToValidUTF8(value, "?")))
	}
	*service = strings.ToValidUTF8(cmp.Or(e.get("OTEL_SERVICE_NAME"), *service), "?")
	return all
}

// number returns the value of a variable from 1 to most.
func (e *environment) number(name string, otherwise, most int) int {
	value := e.get(name)
	if value == "" {
		return otherwise
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > most {
		e.warn(name, "is %q: it must be a number from 1 to %d; %d is used", value, most, otherwise)
		return otherwise
	}
	return n
}

// millis returns the value of a variable in milliseconds.
func (e *environment) millis(name string, otherwise time.Duration) time.Duration {
	return time.Duration(e.number(name, int(otherwise.Milliseconds()), maxMilli)) * time.Millisecond
}

// tls returns the TLS settings of connections to the receiver.
func (e *environment) tls() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name, path := e.either("CERTIFICATE"); path != "" {
		text, err := regular.ReadFile(path, maxFile)
		pool := x509.NewCertPool()
		switch {
		case err != nil:
			e.warn(name, "cannot be read, and is ignored: %v", err)
		case !pool.AppendCertsFromPEM(text):
			e.warn(name, "is %q, which has no certificate, and is ignored", path)
		default:
			config.RootCAs = pool
		}
	}
	name, cert := e.either("CLIENT_CERTIFICATE")
	if _, key := e.either("CLIENT_KEY"); cert != "" || key != "" {
		pair, err := loadPair(cert, key)
		if err != nil {
			e.warn(name, "and OTEL_EXPORTER_OTLP_CLIENT_KEY cannot be used, and are ignored: %v", err)
			return config
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// loadPair reads a certificate and its key.
func loadPair(certPath, keyPath string) (tls.Certificate, error) {
	cert, err := regular.ReadFile(certPath, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := regular.ReadFile(keyPath, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
