// Package flexilib reads FlexiLib's configuration, proxy.ini, and writes an equivalent
// configuration file for Vespo. FlexiLib uses the first line that matches a request, Vespo the
// most specific service. So some lines need additional services, and some are never reached.
package flexilib
