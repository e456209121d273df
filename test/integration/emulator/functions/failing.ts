/** On AWS a state machine sees this error under its name. */
class RowsRejected extends Error {
  constructor() {
    super('no row was accepted')
    this.name = 'RowsRejected'
  }
}

export async function handler(): Promise<never> {
  throw new RowsRejected()
}
