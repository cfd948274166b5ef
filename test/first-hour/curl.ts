/** What `curl` and `curl -i` print, for a machine that has none. */
const [url = "", ...options] = process.argv.slice(2).reverse()
const response = await fetch(url)
if (options.includes("-i")) {
  const headers = Array.from(response.headers, ([name, value]) => `${name}: ${value}`)
  process.stdout.write([`HTTP/1.1 ${response.status} ${response.statusText}`, ...headers, "", ""].join("\r\n"))
}
process.stdout.write(await response.text())
