package cgi

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/vespo-dev/vespo/runtime/abi"
)

// serverSoftware is the value of SERVER_SOFTWARE.
const serverSoftware = "Vespo"

// arguments returns the script name and, if the service enables QueryArgs, the words of an
// indexed query: a query without "=" (RFC 3875, section 4.4). It is off by default so that
// clients cannot choose a program's options. If one word is not a valid argument, none is passed.
func arguments(x *abi.Exchange) []string {
	args := []string{x.Prefix}
	_, query, _ := strings.Cut(x.URI, "?")
	if !x.QueryArgs || query == "" || strings.Contains(query, "=") || x.Method != "GET" && x.Method != "HEAD" {
		return args
	}
	words := strings.Split(query, "+")
	for i, word := range words {
		decoded, err := url.PathUnescape(word)
		if err != nil || strings.IndexByte(decoded, 0) >= 0 {
			return args
		}
		words[i] = decoded
	}
	return append(args, words...)
}

// environment returns the environment of a request: the meta-variables, the header
// and the service's settings. Names of settings that collide with a
// meta-variable are left out, because programs may take either of two variables with
// one name. HTTP_ names are left out as well, because they stand for header fields.
func environment(x *abi.Exchange, settings map[string]string) []string {
	meta := metaVariables(x)
	env := make([]string, 0, len(meta)+len(settings)+len(x.Header))
	for name, value := range settings {
		if _, taken := meta[name]; !taken && validVariable(name, value) && !strings.HasPrefix(name, "HTTP_") {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range meta {
		if !strings.ContainsRune(value, 0) {
			env = append(env, name+"="+value)
		}
	}
	for name, values := range x.Header {
		if variable, ok := headerVariable(name); ok {
			separator := ", "
			if name == "Cookie" {
				separator = "; "
			}
			env = append(env, variable+"="+strings.Join(values, separator))
		}
	}
	slices.Sort(env) // for a deterministic environment
	return env
}

func validVariable(name, value string) bool {
	return name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0)
}

// headerVariable returns the variable name for a header field. ok is false
// for fields that carry credentials for the server, and for fields that
// programs would take for settings (HTTP_PROXY: "httpoxy", CVE-2016-5385).
func headerVariable(name string) (variable string, ok bool) {
	switch name {
	case "Authorization", "Connection", "Proxy", "Content-Type", "Content-Length":
		return "", false
	}
	b := []byte("HTTP_" + name)
	for i := 5; i < len(b); i++ {
		switch c := b[i]; {
		case c == '-':
			b[i] = '_'
		case 'a' <= c && c <= 'z':
			b[i] = c - 'a' + 'A'
		case 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
		default: // a name with "_" would collide with one with "-"
			return "", false
		}
	}
	return string(b), true
}

func metaVariables(x *abi.Exchange) map[string]string {
	path, query, _ := strings.Cut(x.URI, "?")
	rest, err := url.PathUnescape(x.Rest)
	if err != nil || strings.ContainsRune(rest, 0) { // a variable cannot hold a NUL, and an empty PATH_INFO would name another resource
		rest = x.Rest
	}
	remoteHost, remotePort := splitHostPort(x.RemoteAddr)
	if remotePort == "0" {
		remotePort = ""
	}
	serverName, serverPort, authority := server(x)
	script := strings.TrimSuffix(x.Prefix, "/")
	meta := map[string]string{
		"AUTH_TYPE": "", "REMOTE_USER": "", "GATEWAY_INTERFACE": "CGI/1.1",
		"CONTENT_TYPE": first(x.Header["Content-Type"]), "CONTENT_LENGTH": "",
		"PATH_INFO": rest, "PATH_TRANSLATED": rest, "X_RAW_PATH_INFO": x.Rest,
		"QUERY_STRING": query, "REQUEST_METHOD": x.Method, "REQUEST_URI": x.URI, "SCRIPT_NAME": script,
		"REMOTE_ADDR": remoteHost, "REMOTE_HOST": remoteHost, "REMOTE_PORT": remotePort,
		"SERVER_NAME": serverName, "SERVER_PORT": serverPort, "SERVER_PROTOCOL": x.Proto, "SERVER_SOFTWARE": serverSoftware,
		"REQUEST_SCHEME": x.Scheme, "HTTP_HOST": x.Host, "X_MATCHED_ROUTE": script + "/...", "X_FULL_URL": x.Scheme + "://" + authority + path,
	}
	if query != "" {
		meta["X_FULL_URL"] += "?" + query
	}
	if x.ContentLength > 0 || x.ContentLength == 0 && x.Header["Content-Length"] != nil {
		meta["CONTENT_LENGTH"] = strconv.FormatInt(x.ContentLength, 10)
	}
	if x.Scheme == "https" {
		meta["HTTPS"] = "on"
	}
	return meta
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// server returns the server name and port that the client used: those of the Host field, else those of the
// local address. If Host has no port, the port is ServerPort (reported by a proxy), else the default port of
// https, else the local port. IPv6 addresses are bracketed in name (RFC 3875, section 4.1.14). authority is
// host and port, as in a URL.
func server(x *abi.Exchange) (name, port, authority string) {
	local := ""
	if x.LocalAddr != nil {
		if addr := x.LocalAddr(); addr != nil {
			local = addr.String()
		}
	}
	localHost, localPort := splitHostPort(local)
	if authority = x.Host; authority == "" {
		authority = local
	}
	if name, port = splitHostPort(authority); name == "" {
		name = localHost
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		port = cmp.Or(x.ServerPort, schemePort(x.Scheme), localPort)
	}
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name, port, authority
}

// schemePort returns the default port of https, and "" for http. This server does not speak https itself.
func schemePort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return ""
}

func splitHostPort(s string) (host, port string) {
	if host, port, err := net.SplitHostPort(s); err == nil {
		return host, port
	}
	return strings.Trim(s, "[]"), ""
}
