package outbound

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vespo-dev/vespo/internal/routekey"
	"github.com/vespo-dev/vespo/services/egress"
)

// InternalDomain is the domain of the services of this server. NAME.vespo.internal is the service with the
// prefix /NAME. Further labels are further segments, last label first: c.b.a.vespo.internal is /a/b/c.
const InternalDomain = "vespo.internal"

// MaxGrants is the maximum number of entries in the list of one service.
const MaxGrants = 64

// Allow is the list of destinations that a service may call. It is immutable.
type Allow struct {
	origins []string       // canonical: scheme://host:port
	blocks  []netip.Prefix // granted to all origins
}

// ParseAllow parses a service's list. It returns the predicates of all violations.
func ParseAllow(list []string) (*Allow, []string) {
	a, violations := &Allow{}, []string(nil)
	if len(list) > MaxGrants {
		return nil, []string{fmt.Sprintf("has %d entries: at most %d are allowed", len(list), MaxGrants)}
	}
	for _, entry := range list {
		if err := a.add(entry); err != nil {
			violations = append(violations, fmt.Sprintf("has the entry %.200q: %v", entry, err))
		}
	}
	return a, violations
}

// Empty reports whether no origin may be called.
func (a *Allow) Empty() bool { return len(a.origins) == 0 }

func (a *Allow) add(entry string) error {
	if block, err := netip.ParsePrefix(entry); err == nil {
		a.blocks = append(a.blocks, block.Masked())
		return nil
	}
	u, err := url.Parse(entry)
	if err != nil {
		return fmt.Errorf("it is neither an origin like https://api.example.com nor a block like 10.0.0.0/8")
	}
	origin, host, err := originOf(u)
	switch {
	case err != nil:
		return err
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("an origin has a scheme, a host and perhaps a port, and nothing else")
	case strings.Contains(host, "*"):
		return fmt.Errorf("wildcards are not granted: name each host")
	}
	if isInternal(host) {
		if _, err := internalPrefix(host); err != nil {
			return err
		}
	}
	a.origins = append(a.origins, origin)
	return nil
}

// dialTimeout applies to the connection to one address.
const dialTimeout = 10 * time.Second

// dial connects to a granted origin. address is its host and port.
func (a *Allow) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return a.dialer(host).DialContext(ctx, network, address)
}

// dialer returns a dialer limited to the addresses that policy allows for the host.
func (a *Allow) dialer(host string) *net.Dialer {
	return &net.Dialer{Timeout: dialTimeout, ControlContext: a.policy(host).Control}
}

// policy returns the addresses allowed for a host: public addresses, the granted blocks, and the host's own
// literal address (for localhost, loopback). The literal address is granted to this host only. Otherwise grants of
// http://localhost:9000 and http://example.com:8080 would open local port 8080 if example.com resolves to 127.0.0.1.
func (a *Allow) policy(host string) egress.Policy {
	p := egress.Policy{Granted: a.blocks}
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap().WithZone("")
		p.Granted = append(slices.Clip(p.Granted), netip.PrefixFrom(addr, addr.BitLen()))
	}
	if host = strings.TrimSuffix(strings.ToLower(host), "."); host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761, section 6.3
		p.Granted = append(slices.Clip(p.Granted), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	return p
}

// allows reports whether an origin is granted.
func (a *Allow) allows(origin string) bool { return slices.Contains(a.origins, origin) }

// originOf returns the canonical origin of a URL, scheme://host:port, and its host.
func originOf(u *url.URL) (origin, host string, err error) {
	port := u.Port()
	switch u.Scheme {
	case "http":
		if port == "" {
			port = "80"
		}
	case "https":
		if port == "" {
			port = "443"
		}
	default:
		return "", "", fmt.Errorf("its scheme is not http or https")
	}
	host = strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if host == "" || u.Opaque != "" {
		return "", "", fmt.Errorf("it has no host")
	}
	if !validHost(host) {
		return "", "", fmt.Errorf("its host is neither a name nor an address")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return "", "", fmt.Errorf("its port is not one")
	}
	port = strconv.FormatUint(number, 10) // 080 is 80
	return u.Scheme + "://" + net.JoinHostPort(host, port), host, nil
}

// validHost accepts names in ASCII (others in their xn-- form) and addresses without a zone.
func validHost(host string) bool {
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		return err == nil && addr.Zone() == ""
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r != '-' && r != '_' && r != '*' && (r < '0' || r > '9') && (r < 'a' || r > 'z')
		}) {
			return false
		}
	}
	return true
}

func isInternal(host string) bool {
	return host == InternalDomain || strings.HasSuffix(host, "."+InternalDomain)
}

// internalPrefix returns the prefix of the service that a name of the internal domain refers to.
func internalPrefix(host string) (routekey.Prefix, error) {
	name := strings.TrimSuffix(strings.TrimSuffix(host, InternalDomain), ".")
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	prefix, err := routekey.ParsePrefix(strings.Join(labels, "/"))
	if err != nil || name == "" {
		return "", fmt.Errorf("%s is not the name of a service: /NAME is http://NAME.%s", host, InternalDomain)
	}
	return prefix, nil
}
