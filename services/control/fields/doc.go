// Package fields reads the fields of a request for a service, as the management API and the configuration file give them:
// as text, such as query parameters and parts of a form, or as the members of a JSON object. It finds all violations at
// once, and selects the kind of service that the fields ask for.
//
// An [Input] is confined to one goroutine.
package fields
