import { defineConfig } from 'vitest/config'

/** Four projects, from pure to whole: `unit` needs nothing, `infra` synthesises, `integration` talks to real local
 * services (emulator, anvil, Python), `e2e` drives the deployed platform through its public API. */
const project = (name: string, include: string[], testTimeout: number) => ({
  test: { name, include, testTimeout, hookTimeout: testTimeout * 4, environment: 'node' as const },
})

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      project('unit', ['test/unit/**/*.test.ts'], 20_000),
      project('infra', ['test/infra/**/*.test.ts'], 60_000),
      project('integration', ['test/integration/**/*.test.ts'], 120_000),
      project('e2e', ['test/e2e/**/*.test.ts'], 300_000),
    ],
  },
})
