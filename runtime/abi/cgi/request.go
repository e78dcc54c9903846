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

// serverSoftware is what SERVER_SOFTWARE says.
const serverSoftware = "Vespo"

// arguments returns the script's name and, where the service asks for it, the words of an indexed query: one without "=", as the request for a
// search has it (RFC 3875, section 4.4). Without that, no client chooses a program's options. A query that has a word which is no argument gives
// none.
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

// environment gives the meta-variables of a request. The service's configuration comes first, so that it cannot stand in
// for one of them: of two variables with one name programs may take either, so a configured one is left out.
func environment(x *abi.Exchange) []string {
	meta := metaVariables(x)
	env := make([]string, 0, len(meta)+len(x.Config)+len(x.Header))
	for name, value := range x.Config {
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
	slices.Sort(env) // the same request gives the same environment
	return env
}

func validVariable(name, value string) bool {
	return name != "" && !strings.ContainsAny(name, "=\x00") && !strings.ContainsRune(value, 0)
}

// headerVariable names the variable for a header field. Those that carry secrets for the server or would be taken for
// settings of the program (HTTP_PROXY: "httpoxy", CVE-2016-5385) have none.
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
		default: // a name with "_" would pass for one with "-"
			return "", false
		}
	}
	return string(b), true
}

func metaVariables(x *abi.Exchange) map[string]string {
	path, query, _ := strings.Cut(x.URI, "?")
	rest, err := url.PathUnescape(x.Rest)
	if err != nil || strings.ContainsRune(rest, 0) { // a variable cannot hold a NUL, and without PATH_INFO this were another resource
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

// server returns the name and the port that the client has asked for: those of the Host, else those that it has connected to. Behind a proxy,
// the port is the one that the proxy has told, else that of the scheme, if it is not the one of this connection. An IPv6 address as a name has
// brackets (RFC 3875, section 4.1.14). The authority is both, as in an URL.
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

// schemePort returns the port of a scheme that this server does not speak itself.
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
