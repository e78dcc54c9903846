<?php
// Does what Prack's client for Slim does: read the request as a file, put the environment into $_SERVER, and post the answer by curl, as a form
// as far as its type says, with the headers as an object of numbered objects.
$address = getenv('PRACK_URL');
echo "working\n";
while (true) {
    $text = @file_get_contents($address);
    if (empty($text)) {
        continue;
    }
    $taken = (array) json_decode($text);
    foreach ((array) $taken['environment'] as $name => $value) {
        $_SERVER[$name] = $value;
    }
    $body = 'Hello from PHP: ' . $_SERVER['REQUEST_METHOD'] . ' ' . $_SERVER['PATH_INFO'];
    $answer = json_encode([
        'identifier' => $taken['identifier'],
        'code' => 200,
        'headers' => (object) [(object) ['Content-Type' => 'text/html'], (object) ['Content-length' => strlen($body)], (object) ['Connection' => 'close']],
        'body' => base64_encode($body),
    ]);
    $sent = curl_init();
    curl_setopt($sent, CURLOPT_URL, $address);
    curl_setopt($sent, CURLOPT_POST, true);
    curl_setopt($sent, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($sent, CURLOPT_POSTFIELDS, $answer);
    curl_exec($sent);
}
