#!/usr/bin/env node
// A solc for forge on machines without a native compiler: answers `--version` and `--standard-json` through npm `solc`.
const solc = require('solc')

const flags = process.argv.slice(2)
if (flags.includes('--version')) {
  const version = solc.version().replace('.Emscripten.clang', '')
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`)
} else if (flags.includes('--standard-json')) {
  const chunks = []
  process.stdin.on('data', (chunk) => chunks.push(chunk))
  process.stdin.on('end', () => process.stdout.write(solc.compile(Buffer.concat(chunks).toString('utf8'))))
} else {
  process.stderr.write('usage: solc.cjs --version | --standard-json < input.json\n')
  process.exitCode = 2
}
