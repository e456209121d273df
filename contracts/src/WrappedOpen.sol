// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {IWrappedNative} from "./interfaces/IWrappedNative.sol";

/// @title OPEN as an ERC-20 on chains where OPEN is the gas coin.
/// @dev Has `receive` but no fallback: WETH9's fallback swallows calls to functions it lacks, so that a `permit` to it
/// "succeeds" without an allowance.
contract WrappedOpen is ERC20, ERC20Permit, IWrappedNative {
    constructor() ERC20("Wrapped OPEN", "WOPEN") ERC20Permit("Wrapped OPEN") {}

    receive() external payable {
        deposit();
    }

    /// @inheritdoc IWrappedNative
    function deposit() public payable {
        _mint(msg.sender, msg.value);
        emit Deposit(msg.sender, msg.value);
    }

    /// @inheritdoc IWrappedNative
    function withdraw(uint256 amount) external {
        _burn(msg.sender, amount);
        emit Withdrawal(msg.sender, amount);
        (bool sent,) = msg.sender.call{value: amount}("");
        if (!sent) revert NativeTransferFailed(msg.sender);
    }
}
