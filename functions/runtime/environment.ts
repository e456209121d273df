import type { EnvName } from '#schema/env'

/** Reads the named variables once, at start: a missing one fails the cold start and says which, not the tenth request. */
export const environment = <Name extends EnvName>(...names: Name[]): Record<Name, string> => {
  const missing = names.filter((name) => !process.env[name])
  if (missing.length > 0) throw new Error(`missing environment: ${missing.join(', ')}`)
  return Object.fromEntries(names.map((name) => [name, process.env[name]])) as Record<Name, string>
}
