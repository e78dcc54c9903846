package main

import (
	"strings"
	"testing"

	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

func TestPages(t *testing.T) {
	for _, test := range []struct {
		prefix, uri string
		status      int
		want        []string
		not         string
	}{
		{"/nests-of", "/nests-of", 200, []string{"<h1>Nests</h1>", `<a href="/nests-of/nests/attic">attic</a>, under the roof`, "shed"}, "none that"},
		{"/", "/", 200, []string{`<a href="/nests/shed">`}, "none that"},
		{"/n", "/n/?search=rake", 200, []string{"shed", `value="rake"`}, "attic"},
		{"/n", "/n/?search=%22%3E%3Cscript%3E", 200, []string{`value="&#34;&gt;&lt;script&gt;"`, "none that has"}, "<script>"},
		{"/n", "/n/nests/attic", 200, []string{"<title>The nest attic</title>", "about 400 wasps", "&lt;until the frost&gt;"}, "<until"},
		{"/n", "/n/nests/shed", 200, []string{"about 35 wasps"}, "<ul>"},
		{"/n", "/n/nests/none", 404, []string{"<code>/nests/none</code>"}, "wasps"},
		{"/n", "/n/%3Cb%3E", 404, []string{"<code>/&lt;b&gt;</code>"}, "<b>"},
	} {
		answer := guesttest.Serve(&guesttest.Request{URI: test.uri, Prefix: test.prefix})
		if answer.Status != test.status || answer.Header["content-type"][0] != "text/html; charset=utf-8" {
			t.Errorf("%s: %+v", test.uri, answer)
		}
		for _, want := range test.want {
			if !strings.Contains(answer.Body, want) {
				t.Errorf("%s lacks %s: %s", test.uri, want, answer.Body)
			}
		}
		if strings.Contains(answer.Body, test.not) {
			t.Errorf("%s has %s: %s", test.uri, test.not, answer.Body)
		}
	}
}
