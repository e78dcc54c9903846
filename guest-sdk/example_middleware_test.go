package guest_test

import (
	"fmt"

	guest "github.com/vespo-dev/vespo/guest-sdk"
	"github.com/vespo-dev/vespo/guest-sdk/guesttest"
)

// A middleware registers two handlers. Its init function would also contain guest.Handle(authenticate).
func init() {
	guest.BufferResponse() // required to change the header of responses
	guest.HandleResponse(annotate)
}

// user is set by authenticate and read by annotate, which runs in the same instance.
var user string

// authenticate handles requests.
func authenticate(w *guest.Response, r *guest.Request) {
	if r.Header.Get("x-key") != "secret" {
		w.Text(401, "a key is required\n")
		return
	}
	user = "ada"
	r.Header.Del("x-key")
	r.Header.Set("x-user", user)
	r.Pass()
}

// annotate handles the responses of the service.
func annotate(w *guest.Response, r *guest.Request, failed bool) {
	if failed {
		w.Text(502, "the service failed\n")
		return
	}
	w.Header.Set("x-served-for", user)
}

// A middleware passes requests on to the service and changes its responses.
func ExampleHandleResponse() {
	service := &guesttest.Answer{Status: 201, Body: "created\n"}

	answer := guesttest.ServeWith(authenticate, &guesttest.Request{Behind: service})
	fmt.Print(answer.Status, " ", answer.Body)

	answer = guesttest.ServeWith(authenticate, &guesttest.Request{
		Header: map[string][]string{"X-Key": {"secret"}},
		Behind: service,
	})
	fmt.Print(answer.Status, " ", answer.Header["x-served-for"], " ", answer.Body)
	// Output:
	// 401 a key is required
	// 201 [ada] created
}
