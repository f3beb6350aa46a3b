<?php
// The legacy app of the browser tests: it shows the headers that reached it, and writes down every request when told to.
//
// I own: one page for every path. I may call: nothing. I never judge what arrives; the tests do.
//
// php -S 127.0.0.1:PORT app.php     with KEYCARD_APP_RECORD naming a file to append to, if requests are to be kept.

$headers = [];
foreach ($_SERVER as $name => $value) {
    if (str_starts_with($name, 'HTTP_')) {
        $headers[strtr(ucwords(strtolower(substr($name, 5)), '_'), '_', '-')] = $value;
    }
}
ksort($headers);
$line = json_encode([
    'method' => $_SERVER['REQUEST_METHOD'],
    'target' => $_SERVER['REQUEST_URI'],
    'headers' => $headers,
    'body' => file_get_contents('php://input'),
], JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
if ($record = getenv('KEYCARD_APP_RECORD')) {
    file_put_contents($record, $line . "\n", FILE_APPEND | LOCK_EX);
}

$e = fn ($text) => htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE);
header('Content-Type: text/html; charset=utf-8');
?>
<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><link rel="icon" href="data:,"><title>A legacy app</title>
<main id="app">
<h1>A legacy app</h1>
<p>You are <b id="remote-user"><?= $e($headers['Remote-User'] ?? '') ?></b>
at <code id="target"><?= $e($_SERVER['REQUEST_URI']) ?></code>.</p>
<dl>
<?php foreach ($headers as $name => $value): ?>
<dt><?= $e($name) ?></dt><dd><?= $e($value) ?></dd>
<?php endforeach ?>
</dl>
</main></html>
