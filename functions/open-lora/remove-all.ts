import type { Endpoint } from './plan-sweep.ts'

interface Fleet {
  list(): Promise<Endpoint[]>
  remove(name: string): Promise<void>
}

/**
 * Takes down every endpoint until none is left but what is being deleted. One that SageMaker does not let go of yet (it is
 * still coming up) is tried again while `timeLeft`; then throws with the names that still run.
 */
export const removeAll = async (
  fleet: Fleet,
  timeLeft: () => boolean,
  wait = () => new Promise<void>((resolve) => setTimeout(resolve, 10_000)),
): Promise<void> => {
  for (;;) {
    const running = (await fleet.list()).filter(({ status }) => status !== 'Deleting')
    if (running.length === 0) return
    const refused: string[] = []
    for (const { name } of running)
      await fleet.remove(name).catch((error: Error) => refused.push(`${name}: ${error.message}`))
    if (!timeLeft())
      throw new Error(`endpoints still run: ${refused.join('; ') || running.map(({ name }) => name).join()}`)
    if (refused.length > 0) await wait()
  }
}
