import { readFileSync, writeFileSync } from 'node:fs'

/**
 * `node local/setup/complete-lock.ts [FILE]`: a registry mirror that lacks the packages of other platforms makes npm leave
 * them out of the lock file, which `npm ci` then refuses. Each missing optional package gets an entry with its version
 * and its platform, so that it is skipped here and fetched where it belongs (without a hash, which only its own registry knows).
 */
const file = process.argv[2] ?? 'package-lock.json'
const lock = JSON.parse(readFileSync(file, 'utf8'))
const OS = ['android', 'darwin', 'win32', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'openharmony', 'linux']
const CPU = {
  arm64: 'arm64',
  aarch64: 'arm64',
  amd64: 'x64',
  x64: 'x64',
  ia32: 'ia32',
  x86: 'ia32',
  arm: 'arm',
  armv7: 'arm',
  ppc64: 'ppc64',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
  mips64el: 'mips64el',
  wasm32: 'wasm32',
}
let added = 0
for (const parent of Object.values<{ optionalDependencies?: Record<string, string>; dev?: boolean }>({
  ...lock.packages,
})) {
  for (const [name, range] of Object.entries(parent.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`
    if (lock.packages[key]) continue
    const words = name.split(/[/\-.]/)
    const os = OS.find((word) => words.includes(word))
    const cpu = Object.entries(CPU).find(([word]) =>
      words.some((part) => part === word || (word === 'arm' && /^arm(v\d)?/.test(part))),
    )?.[1]
    const libc = words.some((word) => word.startsWith('musl'))
      ? ['musl']
      : words.some((word) => word.startsWith('gnu'))
        ? ['glibc']
        : undefined
    lock.packages[key] = {
      version: range.replace(/^[^\d]*/, ''),
      ...(cpu ? { cpu: [cpu] } : {}),
      ...(parent.dev ? { dev: true } : {}),
      ...(libc && os === 'linux' ? { libc } : {}),
      optional: true,
      ...(os ? { os: [os] } : {}),
    }
    added++
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`)
process.stdout.write(`${JSON.stringify({ added })}\n`)
