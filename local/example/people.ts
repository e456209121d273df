import { randomBytes } from 'node:crypto'
import {
  AdminAddUserToGroupCommand,
  AdminCreateUserCommand,
  AdminSetUserPasswordCommand,
  CognitoIdentityProviderClient,
  InitiateAuthCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { type BaseWallet, type TypedDataDomain, Wallet } from 'ethers'
import { PAYOUT_ADDRESS } from '../../functions/accounts/address-proof.ts'
import { ApiClient } from './api-client.ts'
import type { ExampleContext } from './context.ts'

export interface Person {
  name: string
  token: string
  address: string
  accountId: string
  api: ApiClient
}
interface Credentials {
  password: string
  privateKey: string
}

/** Signs people up in the deployment's user pool (once) and in (every time), and gives each a wallet of their own. */
export class People {
  readonly #context: ExampleContext
  readonly #cognito: CognitoIdentityProviderClient
  constructor(context: ExampleContext) {
    this.#context = context
    this.#cognito = new CognitoIdentityProviderClient({
      endpoint: context.aws.endpoint,
      region: context.aws.region,
      credentials: context.aws.credentials,
    })
  }

  async person(name: string, group?: string): Promise<Person> {
    const { userPoolId, userPoolClientId } = this.#context
    const credentials = await this.credentials(name)
    await this.#context.journal.once(`user ${name}`, async () => {
      const user = { UserPoolId: userPoolId, Username: emailOf(name) }
      await this.#cognito
        .send(
          new AdminCreateUserCommand({
            ...user,
            MessageAction: 'SUPPRESS',
            UserAttributes: [
              { Name: 'email', Value: emailOf(name) },
              { Name: 'email_verified', Value: 'true' },
              { Name: 'name', Value: name },
            ],
          }),
        )
        .catch((error: Error) => {
          if (error.name !== 'UsernameExistsException') throw error
        })
      await this.#cognito.send(
        new AdminSetUserPasswordCommand({ ...user, Password: credentials.password, Permanent: true }),
      )
      if (group) await this.#cognito.send(new AdminAddUserToGroupCommand({ ...user, GroupName: group }))
    })
    const { AuthenticationResult } = await this.#cognito.send(
      new InitiateAuthCommand({
        ClientId: userPoolClientId,
        AuthFlow: 'USER_PASSWORD_AUTH',
        AuthParameters: { USERNAME: emailOf(name), PASSWORD: credentials.password },
      }),
    )
    const token = AuthenticationResult!.IdToken!
    const api = new ApiClient(this.#context.api.baseUrl, token)
    const wallet = new Wallet(credentials.privateKey)
    const address = wallet.address.toLowerCase()
    const account = await this.#context.journal.once(`account ${name}`, async () => {
      const { id, signingDomain } = await api.get('/accounts/me')
      const proof = await proveAddress(wallet, id, signingDomain)
      return api.put('/accounts/me', { name, address, proof })
    })
    return { name, token, address, accountId: account.id, api }
  }

  credentials(name: string): Promise<Credentials> {
    return this.#context.journal.once(`credentials ${name}`, async () => ({
      password: `Aa1!${randomBytes(18).toString('base64url')}`,
      privateKey: Wallet.createRandom().privateKey,
    }))
  }
}

/** The wallet's word that it is the account's; valid for ten minutes. */
export const proveAddress = async (wallet: BaseWallet, account: string, domain: TypedDataDomain) => {
  const validUntil = Math.floor(Date.now() / 1000) + 600
  const message = { account, wallet: wallet.address, validUntil }
  return { validUntil, signature: await wallet.signTypedData(domain, PAYOUT_ADDRESS, message) }
}

const emailOf = (name: string): string => `${name}@example.test`
