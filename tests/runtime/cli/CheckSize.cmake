# Fails if BINARY, stripped to OUT, has more than LIMIT bytes.
execute_process(COMMAND ${STRIP} -o ${OUT} ${BINARY} COMMAND_ERROR_IS_FATAL ANY)
file(SIZE ${OUT} size)
if(size GREATER LIMIT)
  message(FATAL_ERROR "${BINARY} has ${size} bytes without symbols, and ${LIMIT} are allowed")
endif()
