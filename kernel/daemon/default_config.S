// The defaults are the file that is installed: they cannot differ.
  .section .rodata
  .global orlop_default_config_begin
  .global orlop_default_config_end
orlop_default_config_begin:
  .incbin ORLOP_DEFAULT_CONFIG
orlop_default_config_end:
  .byte 0
  .section .note.GNU-stack,"",@progbits
