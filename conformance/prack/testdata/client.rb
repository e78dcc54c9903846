# Does what Prack's handler for Rack does: merge the environment into a Rack environment, call the application, and post what it gives, with
# base64 that has line breaks and the status as the application gives it, here a string.
require 'base64'
require 'json'
require 'net/http'
require 'stringio'
require 'uri'

ADDRESS = URI.parse(ENV.fetch('PRACK_URL'))

application = lambda do |env|
  text = "Hello from Ruby: #{env['REQUEST_METHOD']} #{env['PATH_INFO']} " + '.' * 200
  ['200', { 'Content-Type' => 'text/html' }, [text]]
end

def serve(application)
  taken = JSON.parse(Net::HTTP.get(ADDRESS))
  return if taken['error']

  env = ENV.to_hash.merge(taken['environment'])
  env['rack.input'] = StringIO.new('')
  status, headers, parts = application.call(env)
  text = +''
  parts.each { |part| text << part }
  answer = Net::HTTP::Post.new(ADDRESS.request_uri, 'Content-Type' => 'application/json')
  answer.body = JSON.generate('identifier' => taken['identifier'], 'code' => status, 'headers' => headers, 'body' => Base64.encode64(text))
  Net::HTTP.new(ADDRESS.host, ADDRESS.port).request(answer)
end

$stdout.puts 'working'
$stdout.flush
loop { serve(application) }
